// What is opened by path: files, directories, O_PATH handles, and the memory devices (null, zero, full, random).
import { SYS } from '../../arch/x86-64.ts';
import { type Finding, refusal } from '../../finding.ts';
import type { FileEntry, RegFileEntry } from '../../image/messages/files.ts';
import { fcntl, FCNTL, OwnedFd } from '../../linux/descriptors.ts';
import { O, openPath, readLink, S } from '../../linux/file-facts.ts';
import { seekTo } from '../../linux/sparse.ts';
import type { FileKind, Opened } from './file-kind.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { isMemoryDevice } from './outside-open.ts';
import { ownerOf } from './owner.ts';
import type { PathFacts } from './registry.ts';

/** Memory that only looks like an unlinked file. */
const MEMORY_FILES = /^\/(memfd:|secretmem\b)/;
/** O_ASYNC needs the owner first; O_NOATIME a right that the owner may not have. */
const LATER = O.ASYNC | O.NOATIME;
const LEAVE_POSITION = 0xffffffffffffffffn;
/** A file about a descriptor is there when that is. */
const OF_DESCRIPTOR = /^\/proc\/\d+\/(task\/\d+\/)?fdinfo\/\d+$/;

function openable({ link, stat, info }: OpenFile): boolean {
  if (!link.startsWith('/') || (stat.links === 0 && MEMORY_FILES.test(link))) return false;
  if (info.flags & O.PATH) return true;
  const kind = stat.mode & S.IFMT;
  return kind === S.IFREG || kind === S.IFDIR || isMemoryDevice(stat);
}

export const regular: FileKind = {
  name: 'regular',

  recognises: openable,

  collect(file, dump) {
    return dump.registry.describePath(file.id, pathFacts(file));
  },

  restores: (entry) => entry.reg !== undefined,

  check: (entry, target) => checkPath(entry.reg!, target),

  open: openByPath,
};

/** Facts of an open file for the registry. */
export function pathFacts(file: OpenFile): PathFacts {
  return {
    pid: file.subject.process.pid,
    magicLink: file.magicLink,
    link: file.link,
    stat: file.stat,
    mountId: file.info.mountId,
    flags: file.info.flags,
    pos: file.info.pos,
    owner: ownerOf(file),
    readTarget: () => readLink('', file.duplicate),
    refuse: (code, advice) => file.refuse(code, advice),
  };
}

/** Is the path there, as it was? */
export function checkPath(reg: RegFileEntry, target: FileTarget): Finding[] {
  const { name } = reg;
  // Directories of processes and names of terminals come to be with them.
  if (/^\/(proc|dev\/pts)\//.test(name) || target.saved.ghostOf(reg.id)) return [];
  const refuse = (code: string, advice: string) => [
    refusal(code, target.pidOf(reg.id), name, advice),
  ];
  if (reg.ext) return refuse('ExternalMissing', handIn(name));
  const found = target.stat(name);
  if (!found) {
    return refuse('FileMissing', 'the saved program has it open: put it back where it was');
  }
  if (reg.mode !== undefined && reg.mode !== found.mode) {
    const [was, is] = [reg.mode, found.mode].map((mode) => `0${mode.toString(8)}`);
    return refuse('FileModeChanged', `its mode was ${was} and is ${is}: change it back`);
  }
  if (reg.size === undefined || reg.size === found.size) return [];
  const advice = `it had ${reg.size} bytes and has ${found.size}: put the saved content back`;
  const severity = target.options.fileSizes === 'exact' ? 'refusal' : 'loss';
  return refuse('FileSizeChanged', advice).map((finding) => ({ ...finding, severity }));
}

/** Advice where a file was declared external. */
export const handIn = (resource: string): string =>
  `it was saved as external: restore with a descriptor in its place (--inherit-fd 'fd[N]:${resource}')`;

/** Flags that open(2) may get again; the others are set when it is open. */
export function openingFlags({ flags }: RegFileEntry): number {
  // A file made with O_TMPFILE shows that flag, which would make another one.
  const temporary = flags & O.TMPFILE ? O.TMPFILE | O.DIRECTORY : 0;
  return (flags & ~(temporary | LATER | O.CREAT | O.EXCL | O.TRUNC)) | O.NOCTTY;
}

/** Opens a path in the owner, with its rights and in its mount namespace. */
export function openByPath(entry: FileEntry, opening: FileOpening): Opened {
  const reg = entry.reg!;
  if (OF_DESCRIPTOR.test(reg.name)) return openWhenPlaced(entry.id, reg, opening);
  const position = reg.flags & O.PATH ? undefined : positionOf(reg);
  const opened = opening.openThere(entry.id, openingFlags(reg), position);
  if (!(reg.flags & O.NOATIME) || reg.flags & O.PATH) return opened;
  return () => {
    const file = opened();
    const engineFd =
      typeof file === 'number' ? file : (file.engineFd ?? opening.pull(file.builder, file.number));
    fcntl(engineFd, FCNTL.F_SETFL, reg.flags & ~O.ASYNC);
    return typeof file === 'number' ? file : { ...file, engineFd };
  };
}

const positionOf = ({ pos }: RegFileEntry): bigint | undefined =>
  pos === LEAVE_POSITION || pos === 0n ? undefined : pos;

/** Something else stands at its numbers until every descriptor stands at its own. */
function openWhenPlaced(id: number, reg: RegFileEntry, opening: FileOpening): Opened {
  opening.whenPlaced(() => {
    using file = new OwnedFd(opening.openAsEngine(id, openingFlags(reg)));
    const position = positionOf(reg);
    if (position !== undefined) seekTo(file.fd, position);
    for (const { builder, fd, closeOnExec } of opening.wantedOf(id)) {
      const [received = -1] = opening.push(builder, [file.fd]);
      builder.makeRoom(2, 0);
      builder.batch.must(SYS.dup3, received, fd, closeOnExec ? O.CLOEXEC : 0);
      builder.batch.must(SYS.close, received);
      builder.flush();
    }
  });
  return () => openPath('/dev/null', O.RDONLY);
}
