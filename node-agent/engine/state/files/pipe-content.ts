// What is in a pipe or FIFO: copied without being consumed, and put back.
import { readSync, writeSync } from 'node:fs';
import type { PipeDataEntry } from '../../image/messages/pipes.ts';
import {
  closeFd,
  fcntl,
  FCNTL,
  makePipe,
  pipeSize,
  setPipeSize,
  tee,
} from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { readableBytes } from '../../linux/readiness.ts';
import type { OpenFile } from './open-file.ts';

/** Content of a pipe, held in a pipe of our own until it can be written. */
export interface PipeCopy {
  /** number of the pipe in the images */
  readonly id: number;
  /** F_GETPIPE_SZ */
  readonly size: number;
  /** has it a writer in packet mode (O_DIRECT)? */
  readonly packetMode: boolean;
  /** the bytes, packet by packet; of a pipe without packets in one piece; only once */
  read(): Buffer[];
}

/** One pipe in the images: its size and bytes. */
export interface PipeContent {
  readonly entry: PipeDataEntry;
  readonly bytes: Uint8Array;
}

/**
 * Copies references to the pipe's pages (tee(2)): nothing is consumed, and what the application reads or writes after
 * the thaw does not matter.
 *
 * @param ends all open files of one pipe
 */
export function copyPipe(ends: readonly OpenFile[]): PipeCopy {
  const [any] = ends;
  if (!any) throw new Error('a pipe without an end');
  const id = Number(any.stat.ino & 0xffffffffn);
  const size = pipeSize(any.duplicate);
  const reader = ends.find((end) => (end.info.flags & O.ACCMODE) !== O.WRONLY);
  // Without a reader nobody will ever see what is in it.
  const bytes = reader ? readableBytes(reader.duplicate) : 0;
  const packetMode = ends.some((end) => (end.info.flags & O.DIRECT) !== 0);
  if (!reader || bytes === 0) return { id, size, packetMode, read: () => [] };
  const [ours, target] = makePipe();
  setPipeSize(target, size);
  const copied = tee(reader.duplicate, target, bytes);
  closeFd(target);
  if (copied !== bytes) {
    closeFd(ours);
    throw new Error(`${reader.description}: ${copied} of ${bytes} bytes could be copied`);
  }
  return { id, size, packetMode, read: () => drain(ours, bytes) };
}

/** Copied packets keep their ends: reading stops there, though more is to come. */
function drain(fd: number, bytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let done = 0; done < bytes; ) {
    const piece = Buffer.allocUnsafe(bytes - done);
    const length = readSync(fd, piece, 0, piece.length, null);
    if (length === 0) throw new Error(`the copy of a pipe ended after ${done} of ${bytes} bytes`);
    pieces.push(piece.subarray(0, length));
    done += length;
  }
  closeFd(fd);
  return pieces;
}

/**
 * Gives a new pipe its size and content.
 *
 * @param write engine's writing end; it must not block, so a pipe too small for its content is an error
 */
export function fillPipe(write: number, content: PipeContent | undefined): void {
  if (!content) return;
  const { entry, bytes } = content;
  if (entry.size !== undefined && entry.size !== pipeSize(write)) {
    const result = setPipeSize(write, entry.size);
    if (result < 0) {
      throw new LinuxError('fcntl(F_SETPIPE_SZ)', -result, { object: `${entry.size} bytes` });
    }
  }
  const { packets } = entry;
  fcntl(write, FCNTL.F_SETFL, O.WRONLY | O.NONBLOCK | (packets.length > 0 ? O.DIRECT : 0));
  let at = 0;
  for (const packet of packets) at += writeSync(write, bytes, at, packet);
  while (at < bytes.length) at += writeSync(write, bytes, at);
}
