// Saved pages that a process reads itself, straight to where they belong: through the engine they would be copied twice.
import { SYS } from '../arch/x86-64.ts';
import { ImageError } from '../image/image-error.ts';
import { OwnedFd } from '../linux/descriptors.ts';
import { syscall } from '../linux/ffi.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { waitFor } from '../tracee/deadline.ts';
import { FdChannel } from '../tracee/fd-channel.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import { bytesOf, groupRuns, openPages, type PagesSource, type SavedRun } from './saved-pages.ts';

/** For less the detour of a descriptor takes longer. */
const WORTHWHILE_BYTES = 2 << 20;
/** For less it takes longer to bear threads that help. */
const MUCH_BYTES = 16 << 20;
/** Of one call; its thread answers nothing else meanwhile */
const STEP_BYTES = 8 << 20;
const STEP_MILLIS = 60_000;
const AHEAD_BYTES = 32 << 20;
const POSIX_FADV_WILLNEED = 3;
const FIRST_OWN_DESCRIPTOR = 3;
const IOVEC_BYTES = 16;
/** Of one call: so many fit in the smallest slot */
const MOST_PIECES = 240;

export const isWorthwhile = (runs: readonly SavedRun[]): boolean =>
  bytesOf(runs) >= WORTHWHILE_BYTES;

/** Are they so many that several threads shall read them? */
export const isMuch = (runs: readonly SavedRun[]): boolean => bytesOf(runs) >= MUCH_BYTES;

/**
 * Fills runs, which the process may write.
 *
 * @param helpers threads of the process besides the leader
 * @param progress told after every step, bytes of that step
 * @throws ImageError when a file is missing or too short
 */
export function readIn(
  builder: ProcessBuilder,
  runs: readonly SavedRun[],
  helpers: readonly TracedThread[],
  progress: (bytes: number) => void,
): void {
  const readers = [
    new Reader(builder.batch),
    ...helpers.map((t) => new Reader(new RemoteBatch(t))),
  ];
  const bySource = Map.groupBy(runs, ({ source }) => source);
  for (const [source, own] of bySource) {
    using file = new OwnedFd(openPages(source).fd);
    builder.flush();
    const channel = FdChannel.open(builder.process, FIRST_OWN_DESCRIPTOR);
    const [number = -1] = channel.push([file.fd]);
    channel.close();
    readFrom({ source, fd: file.fd, number }, own, readers, progress);
    builder.batch.must(SYS.close, number);
    builder.flush();
  }
}

interface OpenSource {
  readonly source: PagesSource;
  /** the engine's */
  readonly fd: number;
  /** in the process */
  readonly number: number;
}

/** Each reader gets the next step as soon as it is done with one. */
function readFrom(
  source: OpenSource,
  runs: readonly SavedRun[],
  readers: readonly Reader[],
  progress: (bytes: number) => void,
): void {
  const steps = groupRuns(runs, STEP_BYTES, MOST_PIECES);
  const busy = new Set<Reader>();
  for (let next = 0; next < steps.length || busy.size > 0; ) {
    for (const reader of readers) {
      const step = busy.has(reader) ? undefined : steps[next];
      if (!step) continue;
      reader.start(source, step);
      busy.add(reader);
      next++;
    }
    const what = `the end of a read of ${source.source.file}`;
    const done = waitFor(what, STEP_MILLIS, () => [...busy].find((reader) => reader.hasEnded()));
    progress(done.finish(source.source.file));
    busy.delete(done);
  }
}

/** One thread that reads step after step. */
class Reader {
  readonly #batch: RemoteBatch;
  #read: RemoteResult | undefined;
  #length = 0;
  #end = 0;

  constructor(batch: RemoteBatch) {
    this.#batch = batch;
  }

  start({ fd, number }: OpenSource, step: readonly SavedRun[]): void {
    const { offset } = step[0]!;
    this.#length = bytesOf(step);
    this.#end = offset + this.#length;
    // The disk works ahead while the process copies.
    syscall(SYS.fadvise64, fd, this.#end, AHEAD_BYTES, POSIX_FADV_WILLNEED);
    const vectors = this.#batch.bytes(vectorsOf(step));
    this.#read = this.#batch.must(SYS.preadv, number, vectors, step.length, offset);
    this.#batch.start();
  }

  hasEnded(): boolean {
    return this.#batch.hasEnded();
  }

  /** @returns bytes that it read */
  finish(file: string): number {
    this.#batch.finish();
    if (this.#read?.number === this.#length) return this.#length;
    throw new ImageError({ file, reason: `ends before byte ${this.#end}` });
  }
}

function vectorsOf(group: readonly SavedRun[]): Buffer {
  const vectors = Buffer.alloc(group.length * IOVEC_BYTES);
  group.forEach(({ start, end }, i) => {
    vectors.writeBigUInt64LE(start, i * IOVEC_BYTES);
    vectors.writeBigUInt64LE(end - start, i * IOVEC_BYTES + 8);
  });
  return vectors;
}
