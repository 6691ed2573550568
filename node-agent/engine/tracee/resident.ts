// The interpreter's mapping in a tracee: code page, then one slot per thread with control block, calls, data and stack.
import { CONTROL, CONTROL_SIZE, interpreter, OP_SIZE } from '../../../shim/shim.generated.ts';
import { REG, SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { type TraceeAddress, writeMemory } from '../linux/process-memory.ts';
import { readStatus } from '../linux/procfs/status.ts';
import { ALL_SIGNALS, SIGNAL, signalBit } from '../linux/signals.ts';
import { bootstrapCall, mustBootstrap } from './bootstrap-call.ts';
import { resumableInPlace } from './restart.ts';
import type { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';

const PAGE = 4096;
const STACK_BYTES = 4096;
const CODE_BYTES = PAGE;
const PROT_ALL = 7;
const PROT_CODE = 5;
const PROT_SLOTS = 3;
const EACCES = 13n;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_FIXED_NOREPLACE = 0x100000;

/** Signals that say "batch done": ignored by default, so that an orphan passes over its own tgkill. */
const END_SIGNALS = [SIGNAL.SIGURG, SIGNAL.SIGWINCH, SIGNAL.SIGCONT] as const;

/** Nobody can block these two. */
const UNBLOCKABLE = signalBit(SIGNAL.SIGKILL) | signalBit(SIGNAL.SIGSTOP);
const quietMask = (endSignal: number): bigint => ALL_SIGNALS & ~signalBit(endSignal);

/** Are the signals blocked, as /proc shows it, that are blocked while the interpreter runs? */
export const isQuietMask = (blocked: bigint): boolean =>
  END_SIGNALS.some((signal) => (quietMask(signal) & ~UNBLOCKABLE) === blocked);

export interface SlotShape {
  readonly calls: number;
  readonly dataBytes: number;
}

/** Where one thread's control block, calls, data and stack lie. */
export interface Slot {
  readonly base: TraceeAddress;
  readonly calls: number;
  readonly dataBytes: number;
  readonly opsAt: TraceeAddress;
  readonly dataAt: TraceeAddress;
  readonly stackTop: TraceeAddress;
}

export interface ResidentPlan {
  /** the leader, which asks most */
  readonly leader: SlotShape;
  /** each other thread */
  readonly thread: SlotShape;
  readonly threads: number;
}

export const DUMP_LEADER: SlotShape = { calls: 400, dataBytes: 65536 };
export const RESTORE_LEADER: SlotShape = { calls: 800, dataBytes: 262144 };
export const SMALL_SLOT: SlotShape = { calls: 48, dataBytes: 4096 };

const roundUp = (n: number): number => Math.ceil(n / PAGE) * PAGE;
const slotBytes = (s: SlotShape): number =>
  roundUp(CONTROL_SIZE + s.calls * OP_SIZE) + roundUp(s.dataBytes) + STACK_BYTES;

export function residentBytes(plan: ResidentPlan): number {
  return CODE_BYTES + slotBytes(plan.leader) + plan.threads * slotBytes(plan.thread);
}

/**
 * Lives from one bootstrap mmap to one bootstrap munmap. Anonymous and private: a snapshot child gets its own copy.
 *
 * Crash safety: before the first batch of a thread its control block holds the thread's true registers and mask with
 * the restart already applied, so that without a tracer the interpreter itself resumes the application.
 */
export class Resident {
  readonly base: TraceeAddress;
  readonly bytes: number;
  readonly endSignal: number;
  readonly #plan: ResidentPlan;
  readonly #slots = new Map<number, Slot>();
  readonly #free: Slot[] = [];
  #used = 0;

  private constructor(base: TraceeAddress, plan: ResidentPlan, endSignal: number) {
    this.base = base;
    this.bytes = residentBytes(plan);
    this.#plan = plan;
    this.endSignal = endSignal;
  }

  /** Maps the interpreter through the leader; `at` fixes the address (restore: free in the old and the new layout). */
  static map(process: TracedProcess, plan: ResidentPlan, at?: TraceeAddress): Resident {
    // Without a fixed place a wish: there a later engine finds what this one leaves behind if it is killed at once.
    const flags = MAP_PRIVATE_ANONYMOUS | (at === undefined ? 0 : MAP_FIXED_NOREPLACE);
    const endSignal = freeEndSignal(process);
    const base = mapRoom(process, at ?? nextHome(process), residentBytes(plan), flags);
    const resident = new Resident(base, plan, endSignal);
    process.resident = resident;
    return resident;
  }

  /** The same mapping as a snapshot child sees it, with slots of its own kind of use. */
  forSnapshot(): Resident {
    return new Resident(this.base, this.#plan, this.endSignal);
  }

  /** Has it room for everything that another plan has? */
  fits({ leader, thread, threads }: ResidentPlan): boolean {
    const own = this.#plan;
    const holds = (one: SlotShape, wanted: SlotShape): boolean =>
      one.calls >= wanted.calls && one.dataBytes >= wanted.dataBytes;
    return holds(own.leader, leader) && holds(own.thread, thread) && own.threads >= threads;
  }

  static unmap(process: TracedProcess): void {
    const { resident } = process;
    if (!resident) return;
    mustBootstrap(process.leader, SYS.munmap, [resident.base, resident.bytes]);
    process.resident = undefined;
  }

  /** Blocked while it runs: everything but the signal that ends a batch. */
  get quietMask(): bigint {
    return quietMask(this.endSignal);
  }

  get entry(): TraceeAddress {
    return this.base + BigInt(interpreter.entry);
  }

  /** The slot of a thread; its control block is written at the first use. */
  slot(thread: TracedThread): Slot {
    let slot = this.#slots.get(thread.tid);
    if (!slot) {
      slot = this.#place(thread.tid === thread.process.pid);
      this.#slots.set(thread.tid, slot);
    }
    return slot;
  }

  /** Gives the slot of a thread that has ended to the next one. */
  free(thread: TracedThread): void {
    const slot = this.#slots.get(thread.tid);
    this.#slots.delete(thread.tid);
    if (slot && thread.tid !== thread.process.pid) this.#free.push(slot);
  }

  #place(leader: boolean): Slot {
    const reused = leader ? undefined : this.#free.pop();
    if (reused) return reused;
    const { leader: first, thread: other } = this.#plan;
    const shape = leader ? first : other;
    const offset = CODE_BYTES + (leader ? 0 : slotBytes(first) + this.#used++ * slotBytes(other));
    if (offset + slotBytes(shape) > this.bytes) throw new Error('no slot left for another thread');
    const base = this.base + BigInt(offset);
    const dataAt = base + BigInt(roundUp(CONTROL_SIZE + shape.calls * OP_SIZE));
    return {
      base,
      calls: shape.calls,
      dataBytes: shape.dataBytes,
      opsAt: base + BigInt(CONTROL_SIZE),
      dataAt,
      stackTop: base + BigInt(slotBytes(shape)) - 16n,
    };
  }

  /** Control block, in words of 64 bits: who and what to go back to if the engine is gone by the end of the batch. */
  writeControlBlock(
    block: BigUint64Array,
    thread: TracedThread,
    slot: Slot,
    counts: { readonly calls: number; readonly will: number },
  ): void {
    const registers = resumableInPlace(thread.namedRegisters);
    // `done`, the upper half, is 0
    block[CONTROL.n / 8] = BigInt(counts.calls);
    block[CONTROL.pid / 8] = BigInt(thread.process.nsPid);
    block[CONTROL.tid / 8] = BigInt(thread.nsTid);
    block[CONTROL.sig / 8] = BigInt(this.endSignal);
    block[CONTROL.mask / 8] = thread.signalMask;
    for (const [name, place] of SAVED) block[CONTROL[name] / 8] = registers[place]!;
    block[CONTROL.ops / 8] = slot.opsAt;
    block[CONTROL.will / 8] = BigInt(counts.will);
    block[CONTROL.stack / 8] = slot.stackTop;
    block[CONTROL.quiet / 8] = this.quietMask;
  }
}

/**
 * One mapping for code and slots, with the code, by which a later engine knows it. Where a program may have no memory that is both writable and executable, prctl(PR_SET_MDWE),
 * its first page is for the code, which only a tracer can write, and the rest for the slots.
 */
function mapRoom(
  process: TracedProcess,
  place: TraceeAddress,
  bytes: number,
  flags: number,
): TraceeAddress {
  const { leader } = process;
  const args = [place, bytes, PROT_ALL, flags, -1, 0];
  const code = Buffer.from(interpreter.bytesBase64, 'base64');
  const answer = bootstrapCall(leader, SYS.mmap, args);
  if (answer !== -EACCES) {
    writeMemory(process.pid, mustBe(answer, process), code);
    return answer;
  }
  args[2] = PROT_CODE;
  const base = mustBootstrap(leader, SYS.mmap, args);
  writeMemory(process.pid, base, code);
  const slots = [base + BigInt(CODE_BYTES), bytes - CODE_BYTES, PROT_SLOTS];
  mustBootstrap(leader, SYS.mprotect, slots);
  return base;
}

function mustBe(address: bigint, { pid }: TracedProcess): TraceeAddress {
  if (address < 0n) throw new LinuxError('remote mmap', Number(-address), { pid });
  return address;
}

/** Places that we ask for, one after the other: no program maps there by itself. */
export const HOME = { first: 0x2d1a00000000n, step: 1n << 24n, count: 64n } as const;

/** The first that no engine before us has left taken: elsewhere nobody knows ours before its code is there. */
export function nextHome({ leftovers }: Pick<TracedProcess, 'leftovers'>): TraceeAddress {
  const taken = new Set(leftovers.map(({ start }) => start));
  let place: TraceeAddress = HOME.first;
  while (taken.has(place)) place += HOME.step;
  return place;
}

/** Registers in the control block, by their names there. */
const SAVED = [
  ['r15', REG.r15],
  ['r14', REG.r14],
  ['r13', REG.r13],
  ['r12', REG.r12],
  ['rbp', REG.rbp],
  ['rbx', REG.rbx],
  ['r11', REG.r11],
  ['r10', REG.r10],
  ['r9', REG.r9],
  ['r8', REG.r8],
  ['rax', REG.rax],
  ['rcx', REG.rcx],
  ['rdx', REG.rdx],
  ['rsi', REG.rsi],
  ['rdi', REG.rdi],
  ['rip', REG.rip],
  ['flags', REG.rflags],
  ['rsp', REG.rsp],
] as const;

/**
 * A signal that is neither caught nor pending: even if the engine dies, delivering it changes nothing. Where a runtime
 * catches all of them (Go), one that is not pending must do; Go expects a SIGURG out of nowhere at any time.
 */
function freeEndSignal(process: TracedProcess): number {
  const status = readStatus(process.pid);
  const pending = status.pendingSignals | status.sharedPendingSignals;
  const quiet = END_SIGNALS.filter((signal) => (pending & signalBit(signal)) === 0n);
  const free = quiet.find((signal) => (status.caughtSignals & signalBit(signal)) === 0n);
  const chosen = free ?? quiet[0];
  if (chosen === undefined) {
    throw new Error(`SIGURG, SIGWINCH and SIGCONT are all pending in process ${process.pid}`);
  }
  return chosen;
}
