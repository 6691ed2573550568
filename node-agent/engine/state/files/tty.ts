// Terminals: pseudoterminal pairs of the tree, the terminal that the tree was started on, /dev/tty and consoles.
import { IMAGES } from '../../image/image-files.ts';
import { FdType, TtyType } from '../../image/messages/enums.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { TtyFileEntry, TtyInfoEntry } from '../../image/messages/terminals.ts';
import { type Finding, refusal } from '../../finding.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { O, S } from '../../linux/file-facts.ts';
import { POLL, pollNow, readableBytes } from '../../linux/readiness.ts';
import { ptyIndex } from '../../linux/terminals.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind, Opened } from './file-kind.ts';
import type { FileOpening, FileTarget } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { handIn, pathFacts } from './regular.ts';
import { pairResource } from './resource.ts';
import { openStandard, standardNumber } from './stdio.ts';
import { describeTerminal, type TerminalRole } from './tty-facts.ts';

/** Device numbers, Documentation/admin-guide/devices.txt. */
const MAJOR = { VT: 4, TTY: 5, PTS_FIRST: 136, PTS_LAST: 143 } as const;
const MINOR = { CURRENT: 0, CONSOLE: 1, PTMX: 2, SERIAL_FIRST: 64 } as const;

/** What a device number stands for; undefined for anything but a terminal. */
function typeOf({ stat, info }: OpenFile): number | undefined {
  if ((stat.mode & S.IFMT) !== S.IFCHR || info.flags & O.PATH) return undefined;
  const { rdevMajor: major, rdevMinor: minor } = stat;
  if (major >= MAJOR.PTS_FIRST && major <= MAJOR.PTS_LAST) return TtyType.PTY;
  if (major === MAJOR.VT) return minor < MINOR.SERIAL_FIRST ? TtyType.VT : TtyType.SERIAL;
  if (major !== MAJOR.TTY) return undefined;
  if (minor === MINOR.PTMX) return TtyType.PTY;
  if (minor === MINOR.CURRENT) return TtyType.CTTY;
  return minor === MINOR.CONSOLE ? TtyType.CONSOLE : undefined;
}

const isMaster = ({ stat }: OpenFile): boolean => stat.rdevMajor === MAJOR.TTY;

/** Number of a pair, from either end. */
const indexOf = (file: OpenFile): number =>
  isMaster(file)
    ? (ptyIndex(file.duplicate) ?? 0)
    : ((file.stat.rdevMajor - MAJOR.PTS_FIRST) << 20) | file.stat.rdevMinor;

export const tty: FileKind = {
  name: 'tty',

  recognises: (file) => typeOf(file) !== undefined,

  collect(file, dump) {
    const type = typeOf(file) as number;
    if (type === TtyType.SERIAL)
      return file.refuse(
        'SerialLine',
        'a serial line belongs to its machine: let the application close it',
      );
    const regfId = dump.registry.allocate();
    const path = pathEntry(file, regfId, type, dump);
    if (!path) return undefined;
    if (type === TtyType.PTY && isMaster(file)) mastersOf(dump).set(indexOf(file), file);
    const entry = {
      id: file.id,
      ttyInfoId: 0,
      flags: file.info.flags,
      fown: ownerOf(file),
    };
    dump.whenAllKnown(() => complete(file, { entry, path, type }, dump));
    return { type: FdType.TTY, id: file.id, tty: entry };
  },

  restores: (entry) => entry.tty !== undefined,

  check: (entry, target) => checkTerminal(entry, target),

  open(entry, opening) {
    const saved = entry.tty!;
    if (saved.stdio !== undefined) return openStandard(saved.stdio - 1, opening);
    const info = opening.terminals.info(saved.ttyInfoId);
    return info.type === TtyType.PTY
      ? () => openPair(saved, info, opening)
      : openDevice(saved, opening);
  },

  finish(entry, opening) {
    const { ttyInfoId } = entry.tty!;
    if (opening.isInherited(entry.id)) {
      opening.terminals.takeOver(opening.terminals.info(ttyInfoId), entry.id, opening);
    }
  },
};

const mastersOf = (dump: FileDump): Map<number, OpenFile> =>
  dump.once('pty masters', () => new Map<number, OpenFile>());

/** The slave of a closed master has no name any more, and needs none. */
function pathEntry(
  file: OpenFile,
  id: number,
  type: number,
  dump: FileDump,
): FileEntry | undefined {
  // An external terminal is declared as one, not as a file.
  const { mountId: _, ...facts } = pathFacts(file);
  if (type !== TtyType.PTY) return dump.registry.describePath(id, facts);
  const { info, stat } = file;
  const name = file.link.replace(/ \(deleted\)$/, '');
  const reg = {
    id,
    flags: info.flags,
    pos: 0n,
    fown: ownerOf(file),
    name,
    mode: stat.mode,
    buildId: [],
  };
  return { type: FdType.REG, id, reg };
}

interface Described {
  readonly entry: TtyFileEntry;
  readonly path: FileEntry;
  /** TtyType */
  readonly type: number;
}

function complete(file: OpenFile, { entry, path, type }: Described, dump: FileDump): void {
  const role = roleOf(file, type, dump);
  if (!role) {
    file.refuse(
      'TtyOutside',
      'its other end belongs to a process outside the saved tree: only a terminal at 0, 1 or 2 comes from the new pod; another one can be declared (--external tty[RDEV:DEV])',
    );
    return;
  }
  if (role.alive && readableBytes(file.duplicate) > 0) {
    file.report('loss', 'TtyUnread', 'what was written to it and not read yet is not restored');
  }
  const info = dump.once(`terminal ${role.id}`, () => {
    const made = describeTerminal(file, role, dump);
    dump.afterThaw((images) => images.write(IMAGES.ttyInfo, [made]));
    return made;
  });
  // What is handed in has no path: CRIU ends with a SIGSEGV where one is saved.
  const isOutside = role.type === TtyType.EXT_TTY;
  if (!isOutside) dump.registry.put(path);
  const standard = isOutside ? standardNumber([file]) : undefined;
  const saved = {
    ...entry,
    ttyInfoId: info.id,
    ...(!isOutside && { regfId: path.id }),
    ...(standard !== undefined && { stdio: 1 + standard }),
  };
  dump.registry.put({ type: FdType.TTY, id: file.id, tty: saved });
}

/** Which terminal of the tree it is; ids of pairs as CRIU makes them, apart for both ends. */
function roleOf(file: OpenFile, type: number, dump: FileDump): TerminalRole | undefined {
  const { rdevMinor: minor } = file.stat;
  const alone = { index: undefined, master: undefined, alive: true };
  if (type !== TtyType.PTY) return { ...alone, id: (type << 24) | minor, type };
  const index = indexOf(file);
  const master = mastersOf(dump).get(index);
  const alive = master !== undefined || !(pollNow(file.duplicate, POLL.IN) & POLL.HUP);
  if (master || !alive) {
    return { id: (index << 1) | Number(isMaster(file)), type, index, master, alive };
  }
  const isExternal = dump.registry.externals.isTerminal(file);
  if (!isExternal && standardNumber([file]) === undefined) return undefined;
  return { ...alone, id: outsideId(index, dump), type: TtyType.EXT_TTY, index };
}

/** CRIU numbers terminals outside of the tree one by one, behind all pairs; it has room for 64 and ends with others. */
function outsideId(index: number, dump: FileDump): number {
  const known = dump.once('outside terminals', () => new Map<number, number>());
  const id = known.get(index) ?? (FIRST_OUTSIDE + known.size) << 1;
  known.set(index, id);
  return id;
}

const FIRST_OUTSIDE = 1013;

function checkTerminal(entry: FileEntry, target: FileTarget): Finding[] {
  const { regfId, stdio, ttyInfoId } = entry.tty!;
  const info = target.saved.terminal(ttyInfoId);
  if (info?.type === TtyType.EXT_TTY && stdio === undefined) {
    const name = pairResource('tty', info.rdev, info.dev ?? 0);
    return [refusal('ExternalMissing', target.pidOf(entry.id), name, handIn(name))];
  }
  const reg = target.saved.entries.get(regfId ?? 0)?.reg;
  const made = !reg || reg.name.startsWith('/dev/pts/') || target.saved.ghostOf(reg.id);
  if (made || stdio !== undefined || target.stat(reg.name)) return [];
  return [
    refusal(
      'FileMissing',
      target.pidOf(entry.id),
      reg.name,
      'the saved program has this terminal open: it must be there',
    ),
  ];
}

function openPair(saved: TtyFileEntry, info: TtyInfoEntry, opening: FileOpening): number {
  const { terminals } = opening;
  const name = opening.saved.entry(saved.regfId ?? saved.id).reg?.name ?? '';
  const fd = name.endsWith('/ptmx') ? terminals.master(info) : terminals.slave(info, saved.flags);
  fcntl(fd, FCNTL.F_SETFL, saved.flags & ~O.ASYNC);
  return fd;
}

/** /dev/tty leads a process to the terminal of its own session, so it is opened there. */
function openDevice(saved: TtyFileEntry, opening: FileOpening): Opened {
  const pathId = saved.regfId ?? saved.id;
  return opening.openRemotely(
    pathId,
    (saved.flags & ~O.ASYNC) | O.NOCTTY,
    opening.ownerOf(saved.id),
  );
}
