// Pages copied while the process stands still. For few of them that is shorter than a snapshot, whose fork must go through all
// of its memory.
import { closeSync, openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, type NativeMemory, release, syscall } from '../linux/ffi.ts';
import type { PagePlan } from './page-plan.ts';
import type { PagesFile } from './pages-file.ts';

/** Memory of the engine for the copies of all processes. */
export const MAX_COPIED_BYTES = 256 << 20;
const EIO = 5;

/** Seen on a machine of 2.5 GHz; only their ratio counts. */
const COST = {
  forkMicros: 500,
  forkMicrosPerMib: 15,
  copyMicrosPerRun: 4,
  copyMicrosPerMib: 300,
} as const;

const mib = (bytes: number): number => bytes / (1 << 20);

/**
 * Is copying shorter than a snapshot? Pure.
 *
 * @param anonymousBytes of the process, which a fork goes through
 */
export function isCopyShorter({ bytes, changed }: PagePlan, anonymousBytes: number): boolean {
  const copy = changed.length * COST.copyMicrosPerRun + mib(bytes) * COST.copyMicrosPerMib;
  return copy < COST.forkMicros + mib(anonymousBytes) * COST.forkMicrosPerMib;
}

/** The pages of one moment, in memory of the engine. */
export class PageCopy implements Disposable {
  readonly plan: PagePlan;
  readonly #content: NativeMemory | undefined;

  private constructor(plan: PagePlan, content: NativeMemory | undefined) {
    this.plan = plan;
    this.#content = content;
  }

  /**
   * Copies what a plan wants. Through /proc/PID/mem: process_vm_readv(2) pins what it reads, which would give the process a
   * copy of its own of every page that it shares with a relative.
   *
   * @throws LinuxError when a page cannot be read
   */
  static take(pid: number, plan: PagePlan): PageCopy {
    if (plan.bytes === 0) return new PageCopy(plan, undefined);
    const content = allocate(plan.bytes);
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    try {
      let to = content.address;
      for (const { start, end } of plan.changed) {
        read(memory, to, start, end, pid);
        to += end - start;
      }
      return new PageCopy(plan, content);
    } catch (error) {
      release(content);
      throw error;
    } finally {
      closeSync(memory);
    }
  }

  appendTo(file: PagesFile): void {
    if (this.#content) file.append(this.#content.address, this.plan.bytes);
  }

  [Symbol.dispose](): void {
    if (this.#content) release(this.#content);
  }
}

function read(memory: number, to: bigint, start: bigint, end: bigint, pid: number): void {
  for (let at = start; at < end; ) {
    const got = syscall(SYS.pread64, memory, to + (at - start), end - at, at);
    if (got <= 0) {
      const object = `0x${at.toString(16)}`;
      throw new LinuxError('read', got < 0 ? -got : EIO, { pid, object });
    }
    at += BigInt(got);
  }
}
