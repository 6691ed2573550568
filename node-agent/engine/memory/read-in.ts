// Saved pages that a process reads itself, straight to where they belong: through the engine they would be copied twice.
import { SYS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { OwnedFd } from '../linux/descriptors.ts';
import { syscall } from '../linux/ffi.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { FdChannel } from '../tracee/fd-channel.ts';
import { bytesOf, groupRuns, openPages, type PagesSource, type SavedRun } from './saved-pages.ts';

/** For less the detour of a descriptor takes longer. */
const WORTHWHILE_BYTES = 2 << 20;
/** Of one call; the process answers nothing else meanwhile */
const STEP_BYTES = 8 << 20;
const STEP_MILLIS = 60_000;
const AHEAD_BYTES = 32 << 20;
const POSIX_FADV_WILLNEED = 3;
const FIRST_OWN_DESCRIPTOR = 3;
const IOVEC_BYTES = 16;

export const isWorthwhile = (runs: readonly SavedRun[]): boolean =>
  bytesOf(runs) >= WORTHWHILE_BYTES;

/**
 * Fills runs, which the process may write.
 *
 * @param progress told after every step, bytes of that step
 * @throws ImageError when a file is missing or too short
 */
export function readIn(
  builder: ProcessBuilder,
  runs: readonly SavedRun[],
  progress: (bytes: number) => void,
): void {
  const bySource = Map.groupBy(runs, ({ source }) => source);
  for (const [source, own] of bySource) readFrom(builder, source, own, progress);
}

function readFrom(
  builder: ProcessBuilder,
  source: PagesSource,
  runs: readonly SavedRun[],
  progress: (bytes: number) => void,
): void {
  using file = new OwnedFd(openPages(source).fd);
  builder.flush();
  const channel = FdChannel.open(builder.process, FIRST_OWN_DESCRIPTOR);
  const [number = -1] = channel.push([file.fd]);
  channel.close();
  const { batch } = builder;
  for (const group of groupRuns(runs, STEP_BYTES)) {
    const offset = group[0]!.offset;
    const length = bytesOf(group);
    // The disk works ahead while the process copies.
    syscall(SYS.fadvise64, file.fd, offset + length, AHEAD_BYTES, POSIX_FADV_WILLNEED);
    const vectors = batch.bytes(vectorsOf(group));
    const read = batch.must(SYS.preadv, number, vectors, group.length, offset);
    batch.run(STEP_MILLIS);
    if (read.number !== length) {
      throw new ImageError({ file: source.file, reason: `ends before byte ${offset + length}` });
    }
    progress(length);
  }
  batch.must(SYS.close, number);
  builder.flush();
}

function vectorsOf(group: readonly SavedRun[]): Buffer {
  const vectors = Buffer.alloc(group.length * IOVEC_BYTES);
  group.forEach(({ start, end }, i) => {
    vectors.writeBigUInt64LE(start, i * IOVEC_BYTES);
    vectors.writeBigUInt64LE(end - start, i * IOVEC_BYTES + 8);
  });
  return vectors;
}
