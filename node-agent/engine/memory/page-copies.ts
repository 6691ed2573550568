// Pages in memory of the engine: copied while the process runs, those that it has written to since once more, and the last ones
// while it stands still. For few pages that is shorter than a snapshot, whose fork must go through all of its memory.
import { closeSync, openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, release, syscall } from '../linux/ffi.ts';
import type { PagesFile } from './pages-file.ts';

const PAGE = 4096;
/** Memory of the engine for the copies of all processes. */
export const MAX_COPIED_BYTES = 256 << 20;
const STAGING_BYTES = 4 << 20;
const MADV_POPULATE_WRITE = 23;
const EIO = 5;

/** Seen on a machine of 2.5 GHz; only their ratio counts. */
const COST = {
  forkMicros: 500,
  forkMicrosPerMib: 15,
  copyMicrosPerRun: 4,
  copyMicrosPerMib: 300,
} as const;

const mib = (bytes: number): number => bytes / (1 << 20);

/** Runs of pages: start and end of each, one after the other. */
export type FlatRuns = readonly number[];

export const runsIn = (flat: FlatRuns): number => flat.length / 2;

export function bytesIn(flat: FlatRuns): number {
  let bytes = 0;
  for (let i = 0; i < flat.length; i += 2) bytes += flat[i + 1]! - flat[i]!;
  return bytes;
}

/**
 * Is copying shorter than a snapshot? Pure.
 *
 * @param anonymousBytes of the process, which a fork goes through
 */
export function isCopyShorter(flat: FlatRuns, anonymousBytes: number): boolean {
  const copy = runsIn(flat) * COST.copyMicrosPerRun + mib(bytesIn(flat)) * COST.copyMicrosPerMib;
  return copy < COST.forkMicros + mib(anonymousBytes) * COST.forkMicrosPerMib;
}

/** What all processes of a dump share. */
export class CopyRoom implements Disposable {
  #memory: NativeMemory | undefined;
  #usedBytes = 0;
  #faultedInBytes = 0;

  get leftBytes(): number {
    return MAX_COPIED_BYTES - this.#usedBytes;
  }

  /** Faults memory in for so many bytes: in the freeze it would take as long again as the copying. */
  prepare(bytes: number): void {
    const { address } = this.#all();
    const wanted = Math.min(MAX_COPIED_BYTES, this.#usedBytes + bytes);
    const from = this.#faultedInBytes;
    if (wanted <= from) return;
    // Before Linux 5.14 it is only slower.
    syscall(SYS.madvise, address + BigInt(from), wanted - from, MADV_POPULATE_WRITE);
    this.#faultedInBytes = wanted - (wanted % PAGE);
  }

  /** @returns where it lies in {@link bytesAt}. @throws Error when there is none: whoever takes it has asked */
  take(bytes: number): { readonly offset: number; readonly address: bigint } {
    if (bytes > this.leftBytes) throw new Error(`no room for copies of ${bytes} bytes`);
    const offset = this.#usedBytes;
    this.#usedBytes += bytes;
    return { offset, address: this.#all().address + BigInt(offset) };
  }

  bytesAt(offset: number, length: number): Buffer {
    return this.#all().bytes.subarray(offset, offset + length);
  }

  #all(): NativeMemory {
    this.#memory ??= allocate(MAX_COPIED_BYTES);
    return this.#memory;
  }

  [Symbol.dispose](): void {
    if (this.#memory) release(this.#memory);
    this.#memory = undefined;
  }
}

/** Pages of one process, each as it was when it was copied last. */
export class PageCopies {
  readonly #pid: number;
  readonly #room: CopyRoom;
  /** page address: where its copy is, LOST for none */
  readonly #pages = new Map<number, number>();
  readonly #lost = new Set<number>();
  readonly #emptied = new Set<number>();

  constructor(pid: number, room: CopyRoom) {
    this.#pid = pid;
    this.#room = room;
  }

  /** Pages that older images should have and have not. */
  lose(pages: readonly number[]): void {
    for (const page of pages) this.#note(page, page + PAGE, LOST);
  }

  /** Pages in whose place there is none to be saved. */
  drop(flat: FlatRuns): void {
    for (let i = 0; i < flat.length; i += 2) {
      for (let page = flat[i]!; page < flat[i + 1]!; page += PAGE) {
        this.#pages.delete(page);
        this.#lost.delete(page);
        this.#emptied.add(page);
      }
    }
  }

  /** What was dropped, and has not been copied since. */
  get emptied(): ReadonlySet<number> {
    return this.#emptied;
  }

  /** Every page that was copied, or should have been: what older images have of them is not valid. */
  get pages(): Iterable<number> {
    return this.#pages.keys();
  }

  /** Is there a copy? */
  has(page: number): boolean {
    return (this.#pages.get(page) ?? LOST) !== LOST;
  }

  /** Pages that count as changed and of which there is no copy. */
  get lost(): ReadonlySet<number> {
    return this.#lost;
  }

  /**
   * Copies runs. Through /proc/PID/mem: process_vm_readv(2) is no faster for single pages and pins what it reads, which would
   * give the process a copy of its own of every page that it shares with a relative.
   *
   * @param running pages may be gone by now, and others have no room: they are noted as lost
   * @throws LinuxError when a page of a stopped process cannot be read
   */
  copy(flat: FlatRuns, { running = false, between = () => {} }: CopyOptions = {}): void {
    const memory = openSync(`/proc/${this.#pid}/mem`, 'r');
    try {
      for (let i = 0; i < flat.length; i += 2) {
        const [start, end] = [flat[i]!, flat[i + 1]!];
        if (!running) this.#copyRun(memory, start, end);
        else if (!this.#tryRun(memory, start, end)) this.#note(start, end, LOST);
        between();
      }
    } finally {
      closeSync(memory);
    }
  }

  #tryRun(memory: number, start: number, end: number): boolean {
    if (end - start > this.#room.leftBytes) return false;
    try {
      this.#copyRun(memory, start, end);
      return true;
    } catch (error) {
      if (error instanceof LinuxError) return false;
      throw error;
    }
  }

  #copyRun(memory: number, start: number, end: number): void {
    const { offset, address } = this.#room.take(end - start);
    for (let done = 0; done < end - start; ) {
      const to = address + BigInt(done);
      const got = syscall(SYS.pread64, memory, to, end - start - done, start + done);
      if (got <= 0) {
        const object = `0x${(start + done).toString(16)}`;
        throw new LinuxError('read', got < 0 ? -got : EIO, { pid: this.#pid, object });
      }
      done += got;
    }
    this.#note(start, end, offset);
  }

  #note(start: number, end: number, offset: number): void {
    for (let page = start; page < end; page += PAGE) {
      this.#pages.set(page, offset === LOST ? LOST : offset + page - start);
      if (offset === LOST) this.#lost.add(page);
      else if (this.#lost.size > 0) this.#lost.delete(page);
      if (this.#emptied.size > 0) this.#emptied.delete(page);
    }
  }

  /** Appends the copies of runs, in their order. @throws Error when one is missing */
  appendTo(
    file: PagesFile,
    runs: Iterable<{ readonly start: bigint; readonly end: bigint }>,
  ): void {
    const staging = allocate(STAGING_BYTES);
    let filled = 0;
    try {
      for (const page of eachPage(runs)) {
        this.#contentOf(page).copy(staging.bytes, filled);
        filled += PAGE;
        if (filled < STAGING_BYTES) continue;
        file.append(staging.address, filled);
        filled = 0;
      }
      file.append(staging.address, filled);
    } finally {
      release(staging);
    }
  }

  #contentOf(page: number): Buffer {
    const offset = this.#pages.get(page) ?? LOST;
    if (offset === LOST) throw new Error(`page 0x${page.toString(16)} was not copied`);
    return this.#room.bytesAt(offset, PAGE);
  }
}

function* eachPage(
  runs: Iterable<{ readonly start: bigint; readonly end: bigint }>,
): Generator<number> {
  for (const { start, end } of runs) {
    for (let page = Number(start); page < Number(end); page += PAGE) yield page;
  }
}

const LOST = -1;

export interface CopyOptions {
  readonly running?: boolean;
  /** called after each run */
  readonly between?: () => void;
}
