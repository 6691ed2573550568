// Open descriptors of the engine's that take the place of saved files: which files are meant, and whether they can.
import { type Finding, refusal } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import { TtyType } from '../../image/messages/enums.ts';
import type { FileEntry } from '../../image/messages/files.ts';
import type { UnixSkEntry } from '../../image/messages/sockets.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import type { InheritedDescriptor } from '../../protocol.ts';
import type { SavedTree } from '../records.ts';
import { canBe, type DescriptorFacts, lookAt } from './inherited-kind.ts';
import { canonicalResource, inodeResource, pairResource, pathResource } from './resource.ts';
import type { SavedFiles } from './saved-files.ts';
import { isOutside } from './unix-plan.ts';

/** Which descriptors of the engine's stand for which saved files. */
export interface Inheritance {
  /** the engine's descriptor by file id */
  readonly fds: ReadonlyMap<number, number>;
  readonly findings: readonly Finding[];
}

/** Judges every descriptor before the first change; what is wrong with one is a refusal. */
export function planInheritance(
  saved: SavedFiles,
  tree: SavedTree,
  inherited: readonly InheritedDescriptor[],
): Inheritance {
  const fds = new Map<number, number>();
  const findings: Finding[] = [];
  if (inherited.length === 0) return { fds, findings };
  const names = namesOf(saved, tree);
  for (const { fd, resource } of inherited) {
    const refuse = (code: string, advice: string): void =>
      void findings.push(refusal(code, 0, optionText({ fd, resource }), advice));
    const facts = lookAt(fd);
    const entries = names.get(canonicalResource(resource) ?? '') ?? [];
    if (!facts) {
      findings.push(notOpen({ fd, resource }));
    } else if (entries.length === 0) {
      refuse(
        'InheritedUnknown',
        `no process had such a file open; open were: ${[...names.keys()].join(', ')}`,
      );
    } else if (entries.some(({ id }) => fds.has(id))) {
      refuse('InheritedTwice', 'another descriptor was given for the same file: give one');
    } else {
      findings.push(...entries.flatMap((entry) => judge(entry, facts, saved, refuse)));
      for (const { id } of entries) fds.set(id, fd);
    }
  }
  return { fds, findings: [...findings, ...brokenPairs(saved, fds)] };
}

const optionText = ({ fd, resource }: InheritedDescriptor): string =>
  `--inherit-fd fd[${fd}]:${resource}`;

/** The refusal of a number that leads to nothing. */
export function notOpen(one: InheritedDescriptor): Finding {
  const advice = `the restorer has no open descriptor ${one.fd}: open it before`;
  return refusal('InheritedNotOpen', 0, optionText(one), advice);
}

/** Files that processes hold, by every name that they answer to. */
function namesOf(saved: SavedFiles, tree: SavedTree): ReadonlyMap<string, FileEntry[]> {
  const names = new Map<string, FileEntry[]>();
  const held = new Set(tree.processes.flatMap(({ fdinfo }) => fdinfo.map(({ id }) => id)));
  for (const id of held) {
    const entry = saved.entries.get(id);
    const name = entry && nameOf(entry, saved);
    if (name === undefined) continue;
    const others = names.get(name) ?? [];
    names.set(name, [...others, entry!]);
  }
  return names;
}

function nameOf(entry: FileEntry, saved: SavedFiles): string | undefined {
  const { pipe, usk, tty, memfd } = entry;
  const reg = saved.pathOf(entry);
  if (reg) return reg.ext ? canonicalResource(reg.name) : pathResource(reg.name);
  if (pipe) return inodeResource('pipe', pipe.pipeId);
  if (usk) return inodeResource('socket', usk.ino);
  if (memfd) {
    const inodes = saved.images.records(IMAGES.memfd);
    const inode = inodes.find(({ inodeId }) => inodeId === BigInt(memfd.inodeId));
    return inode && pathResource(`memfd:${inode.name}`);
  }
  const info = tty && saved.terminal(tty.ttyInfoId);
  return info && info.type !== TtyType.PTY
    ? pairResource('tty', info.rdev, info.dev ?? 0)
    : undefined;
}

function judge(
  entry: FileEntry,
  facts: DescriptorFacts,
  saved: SavedFiles,
  refuse: (code: string, advice: string) => void,
): Finding[] {
  const wanted = canBe(entry, facts, saved);
  if (wanted !== undefined) refuse('InheritedType', `it is ${facts.kind}: ${wanted} is wanted`);
  else if (!allows(facts.flags, savedFlags(entry, saved))) {
    refuse('InheritedAccess', 'it cannot be read and written as the saved one: open it so');
  }
  return unread(entry, saved);
}

export const savedFlags = (entry: FileEntry, saved: SavedFiles): number =>
  (saved.pathOf(entry) ?? entry.pipe ?? entry.usk ?? entry.tty ?? entry.memfd)?.flags ?? 0;

function allows(given: number, wanted: number): boolean {
  if (wanted & O.PATH) return true;
  if (given & O.PATH) return false;
  const mode = given & O.ACCMODE;
  return mode === O.RDWR || mode === (wanted & O.ACCMODE);
}

/** What was still to be read is in the saved file, not in the one that takes its place. */
function unread(entry: FileEntry, saved: SavedFiles): Finding[] {
  const { pipe, fifo, usk } = entry;
  const bytes =
    (pipe && saved.pipeContent(pipe.pipeId)?.bytes.length) ??
    (fifo && saved.fifoContent(fifo.pipeId)?.bytes.length) ??
    (usk && saved.queueOf(entry.id).length);
  if (!bytes) return [];
  const object = nameOf(entry, saved) ?? `file ${entry.id}`;
  const advice = 'what was in it and not read yet is lost: another one takes its place';
  return [{ ...refusal('InheritedUnread', 0, object, advice), severity: 'loss' }];
}

/** One socket of a pair that is the tree's own: the other one would have nobody. */
function brokenPairs(saved: SavedFiles, fds: ReadonlyMap<number, number>): Finding[] {
  const sockets = [...saved.entries.values()].flatMap(({ usk }) => (usk ? [usk] : []));
  const peerOf = ({ ino }: UnixSkEntry) =>
    sockets.find((other) => other.peer === ino && !isOutside(other) && !fds.has(other.id));
  return sockets
    .filter((socket) => fds.has(socket.id) && peerOf(socket))
    .map(({ ino }) =>
      refusal(
        'InheritedPeer',
        0,
        inodeResource('socket', ino),
        'its other side is restored, too: give descriptors for both, or for none',
      ),
    );
}

/** Status flags that the application relies on. */
const KEPT = O.APPEND | O.NONBLOCK;

/**
 * The engine's descriptor of the very open file that was handed in: its position stays what it is, the status flags
 * become the application's.
 */
export function openInherited(fd: number, flags: number): number {
  const own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  const now = fcntl(own, FCNTL.F_GETFL);
  if (flags & O.PATH || now & O.PATH || ((now ^ flags) & KEPT) === 0) return own;
  try {
    fcntl(own, FCNTL.F_SETFL, (now & ~KEPT) | (flags & KEPT));
  } catch (error) {
    // A file that may only be appended to.
    if (!(error instanceof LinuxError)) throw error;
  }
  return own;
}

const F_DUPFD_CLOEXEC = 1030;
