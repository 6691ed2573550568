// Pipes: both ends, what is in them, and those whose other end lies outside the tree (the container's stdio).
import { IMAGES } from '../../image/image-files.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { PipeEntry } from '../../image/messages/pipes.ts';
import { closeFd, fcntl, FCNTL, makePipe } from '../../linux/descriptors.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import type { FileDump } from './file-dump.ts';
import type { FileKind } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';
import { copyPipe, fillPipe, type PipeCopy } from './pipe-content.ts';
import { externalEnd, openStandard, standardNumber } from './stdio.ts';

const reads = (flags: number): boolean => (flags & O.ACCMODE) !== O.WRONLY;

const F_DUPFD_CLOEXEC = 1030;
const PIPE_LINK = 'pipe:[';

/** CRIU's number of a pipe is its inode, cut to 32 bits. */
export const pipeId = (file: OpenFile): number => Number(file.stat.ino & 0xffffffffn);

export const pipe: FileKind = {
  name: 'pipe',

  recognises: (file) => file.link.startsWith(PIPE_LINK),

  collect(file, dump) {
    const entry: PipeEntry = {
      id: file.id,
      pipeId: pipeId(file),
      flags: file.info.flags,
      fown: ownerOf(file),
    };
    dump.whenAllKnown(() => completePipe(file, entry, dump));
    return { type: FdType.PIPE, id: file.id, pipe: entry };
  },

  restores: (entry) => entry.pipe !== undefined,

  open(entry, opening) {
    const saved = entry.pipe!;
    if (saved.stdio !== undefined) return openStandard(saved.stdio - 1, opening);
    return () => openEnd(saved, opening);
  },
};

/** Once for each pipe: its content, and whether somebody outside holds it. */
function completePipe(file: OpenFile, entry: PipeEntry, dump: FileDump): void {
  const ends = dump.filesOf(file.link);
  const outside = externalEnd(ends);
  const standard = outside && standardNumber(ends);
  if (standard !== undefined) {
    const withStdio = { ...entry, stdio: 1 + standard };
    dump.registry.put({ type: FdType.PIPE, id: file.id, pipe: withStdio });
    return;
  }
  if (outside && !leavesOut(file, outside, dump)) return;
  if (ends[0] === file) saveContent(copyPipe(ends), IMAGES.pipesData, dump);
}

/** Is it to be saved without its other end? */
function leavesOut(file: OpenFile, outside: string, dump: FileDump): boolean {
  if (dump.registry.externals.isPipe(file.stat.ino)) return true;
  const whose = `its ${outside} belongs to a process outside the saved tree`;
  if (dump.options.outsidePipes !== 'Ignore') {
    file.refuse('ExternalPipe', `${whose}: close it, or save that process too`);
    return false;
  }
  const advice = `${whose}: restored without one in its place (--inherit-fd 'fd[N]:${file.link}'), the application finds it closed`;
  file.report('loss', 'ExternalPipe', advice);
  return true;
}

/** Writes a copy after the thaw. */
export function saveContent(copy: PipeCopy, image: typeof IMAGES.pipesData, dump: FileDump): void {
  dump.afterThaw((images) => {
    const content = copy.read();
    const { id, size } = copy;
    const bytes = Buffer.concat(content);
    const packets =
      copy.packetMode || content.length > 1 ? content.map((packet) => packet.length) : [];
    images.append(image, { pipeId: id, bytes: bytes.length, size, packets }, bytes);
  });
}

/** Both ends of a pipe, held by the engine until the last of its files is open. */
interface PipePair {
  readonly read: number;
  readonly write: number;
}

/**
 * An end as pipe(2) makes it does not have O_LARGEFILE, one that was opened through /proc has. The application sees the
 * difference (F_GETFL), and of the first kind there is one reader and one writer at most.
 */
function openEnd(saved: PipeEntry, opening: FileOpening): number {
  const { pipeId: id, flags } = saved;
  const pair = opening.once(`pipe ${id}`, () => makePair(saved, opening));
  if (flags & O.LARGEFILE) {
    return openPath(`/proc/self/fd/${pair.read}`, flags & (O.ACCMODE | O.NONBLOCK | O.DIRECT));
  }
  const end = reads(flags) ? pair.read : pair.write;
  fcntl(end, FCNTL.F_SETFL, flags & ~O.ASYNC);
  return fcntl(end, F_DUPFD_CLOEXEC, 0);
}

function makePair({ id: fileId, pipeId: id }: PipeEntry, opening: FileOpening): PipePair {
  const [read, write] = makePipe();
  opening.giveTo(fileId, read);
  opening.whenPlaced(() => {
    closeFd(read);
    closeFd(write);
  });
  fillPipe(write, opening.saved.pipeContent(id));
  return { read, write };
}
