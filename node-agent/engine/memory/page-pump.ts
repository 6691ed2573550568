// Pages out of a stopped process into a file: it vmsplices them into a pipe, the engine splices them on. No byte is copied.
import { closeSync, openSync } from 'node:fs';
import { CALL_PAGE_PUMP, PUMP_DROP, RANGE_SIZE } from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd, pidfdGetfd, pidfdOpen, pipeSize, setPipeSize } from '../linux/descriptors.ts';
import { check, LinuxError } from '../linux/error.ts';
import { allocate, release, syscall } from '../linux/ffi.ts';
import { readStat } from '../linux/procfs/status.ts';
import { DeadlineError } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { PageRun } from './page-choice.ts';
import type { PagesFile } from './pages-file.ts';

const O_CLOEXEC = 0x80000;
const PIPE_BYTES = 1 << 20;
/** Through /proc/PID/mem, where the process itself cannot read */
const COPY_BYTES = 1 << 20;
/** No byte for so long while the process is at work: the volume or the process hangs. */
const SILENCE_MILLIS = 30_000;
/** How often a silent pipe makes us look whether the process still works. */
const LOOK_MILLIS = 20;
const MAX_RANGES = 3500;
const POLLIN = 1;
const EINTR = 4;
const PAGE = 4096;

/**
 * A pipe out of one stopped process.
 *
 * Never uses process_vm_readv: in a snapshot that would copy every page it shares with the application (engine.md C).
 */
export class PagePump {
  readonly #process: TracedProcess;
  readonly #progress: () => void;
  readonly #pipe: OwnedFd;
  /** the process's end */
  readonly #writer: number;
  readonly #poll = allocate(PAGE);
  readonly #step: number;
  #open = true;

  /**
   * Opens the pipe in the process, so that it ends with the process.
   *
   * @param progress called after every transfer; what it throws ends the saving
   */
  constructor(process: TracedProcess, progress: () => void) {
    this.#process = process;
    this.#progress = progress;
    const batch = this.#batch();
    const ends = batch.space(8);
    batch.must(SYS.pipe2, ends, O_CLOEXEC);
    for (const end of [batch.load(ends), batch.load(ends, 4)]) {
      if (!process.snapshot) batch.ifOrphaned(SYS.close, end);
    }
    batch.run();
    const reader = ends.int32(0);
    this.#writer = ends.int32(4);
    using pidfd = pidfdOpen(process.pid);
    this.#pipe = new OwnedFd(pidfdGetfd(pidfd, reader, process.pid));
    // The engine's must be the only one: when that is gone, a write fails in the place of waiting for ever
    const last = this.#batch();
    last.closeOnce(reader);
    if (!process.snapshot) last.ifOrphaned(SYS.close, this.#writer);
    last.run();
    // A smaller pipe, where the user's share of pipe memory is used up, is only slower
    setPipeSize(this.#pipe.fd, PIPE_BYTES);
    this.#step = pipeSize(this.#pipe.fd);
  }

  /** A snapshot that lost its engine must never become a second application. */
  #batch(): RemoteBatch {
    const batch = new RemoteBatch(this.#process.leader);
    if (this.#process.snapshot) batch.ifOrphaned(SYS.exit_group, 0);
    return batch;
  }

  /** Closes the pipe, also inside the process where that goes on. */
  [Symbol.dispose](): void {
    this.#closePipe();
    release(this.#poll);
    if (this.#process.snapshot) return;
    const batch = this.#batch();
    batch.closeOnce(this.#writer);
    batch.run();
  }

  /** Appends all pages of the runs to the file, in order. @throws TraceeError when the process ends */
  save(runs: readonly PageRun[], file: PagesFile): void {
    for (const group of groupsOf(runs)) {
      if (group[0]?.giveable === true) this.#pump(group, file);
      else for (const run of group) this.#copy(run, file);
    }
  }

  #pump(runs: readonly PageRun[], file: PagesFile): void {
    const bytes = sum(runs);
    const before = file.bytes;
    const batch = this.#batch();
    const result = this.#queue(batch, runs);
    batch.start();
    try {
      this.#drain(bytes, file);
    } catch (error) {
      this.#breakOff(batch);
      throw error;
    }
    batch.finish();
    const moved = file.bytes - before;
    if (result.value === BigInt(bytes) && moved === bytes) return;
    // One page could not be read that way: the rest of its run is copied, what comes behind is pumped again
    const { rest, following } = splitAt(runs, moved);
    this.#copy(rest, file);
    if (following.length > 0) this.#pump(following, file);
  }

  #queue(batch: RemoteBatch, runs: readonly PageRun[]) {
    const table = Buffer.alloc(runs.length * RANGE_SIZE);
    runs.forEach(({ start, end }, i) => {
      table.writeBigUInt64LE(start, i * RANGE_SIZE);
      table.writeBigUInt64LE(end - start, i * RANGE_SIZE + 8);
    });
    if (!this.#process.snapshot) batch.ifOrphaned(SYS.close, this.#writer);
    // A snapshot gives its pages back as they go: the application then stops copying what it writes to. In the
    // application itself that would destroy its memory.
    const flags = this.#process.snapshot ? PUMP_DROP : 0;
    return batch.call(CALL_PAGE_PUMP, this.#writer, batch.bytes(table), runs.length, flags);
  }

  /** Ends a pump whose pages nobody wants any more: it finds that the pipe has no reader. */
  #breakOff(batch: RemoteBatch): void {
    this.#closePipe();
    // The snapshot is ended anyway
    if (!this.#process.snapshot) batch.finish();
  }

  #closePipe(): void {
    if (this.#open) this.#pipe[Symbol.dispose]();
    this.#open = false;
  }

  /** Moves what comes out of the pipe until all is there or the process has stopped working. */
  #drain(bytes: number, file: PagesFile): void {
    const goal = file.bytes + bytes;
    for (let silentSince = performance.now(); file.bytes < goal; ) {
      if (!this.#awaitData()) {
        if (!this.#working() && !this.#awaitData()) return;
        const silent = performance.now() - silentSince;
        if (silent > SILENCE_MILLIS) throw new DeadlineError('the next page', silent);
        continue;
      }
      const moved = file.splice(this.#pipe.fd, Math.min(this.#step, goal - file.bytes));
      if (moved === 0) return;
      silentSince = performance.now();
      this.#progress();
    }
  }

  #awaitData(): boolean {
    const { view, address } = this.#poll;
    view.setInt32(0, this.#pipe.fd, true);
    view.setInt32(4, POLLIN, true);
    const ready = syscall(SYS.poll, address, 1, LOOK_MILLIS);
    return ready !== -EINTR && check(ready, 'poll') > 0;
  }

  /** Does it still run our batch? A traced process that has finished it is stopped. */
  #working(): boolean {
    try {
      return !'tZX'.includes(readStat(this.#process.pid)(3));
    } catch {
      return false;
    }
  }

  /** Through /proc/PID/mem, which asks for no right to read and pins nothing. */
  #copy({ start, end }: { readonly start: bigint; readonly end: bigint }, file: PagesFile): void {
    const { pid } = this.#process;
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    const buffer = allocate(COPY_BYTES);
    try {
      for (let at = start; at < end; ) {
        const length = Math.min(COPY_BYTES, Number(end - at));
        const got = syscall(SYS.pread64, memory, buffer.address, length, at);
        if (got <= 0) {
          throw new LinuxError('read', got < 0 ? -got : 5, { pid, object: `0x${at.toString(16)}` });
        }
        const whole = got - (got % PAGE);
        file.append(buffer.address, whole);
        this.#progress();
        at += BigInt(whole);
      }
    } finally {
      release(buffer);
      closeSync(memory);
    }
  }
}

/** Runs that go the same way and fit into one batch, in order. */
export function groupsOf(runs: readonly PageRun[]): PageRun[][] {
  const groups: PageRun[][] = [];
  for (const run of runs) {
    const last = groups.at(-1);
    if (last && last.length < MAX_RANGES && last[0]?.giveable === run.giveable) last.push(run);
    else groups.push([run]);
  }
  return groups;
}

const sum = (runs: readonly PageRun[]): number =>
  runs.reduce((bytes, { start, end }) => bytes + Number(end - start), 0);

/** Where `bytes` of the runs are done: what is left of the run there, and the runs behind it. */
export function splitAt(
  runs: readonly PageRun[],
  bytes: number,
): { rest: PageRun; following: PageRun[] } {
  let left = bytes;
  for (const [i, run] of runs.entries()) {
    const length = Number(run.end - run.start);
    if (left < length) {
      return {
        rest: { ...run, start: run.start + BigInt(left) },
        following: runs.slice(i + 1),
      };
    }
    left -= length;
  }
  throw new Error(`${bytes} bytes lie behind the end of the runs`);
}
