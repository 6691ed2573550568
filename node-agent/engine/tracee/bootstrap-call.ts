// One system call in a stopped thread with nothing of ours in its memory: through the vDSO's own `syscall` instruction.
import { ARGUMENT_REGISTERS, REG, SYSCALL_INSTRUCTION, signed, unsigned } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import type { Word } from '../linux/ffi.ts';
import { readMemory, type TraceeAddress } from '../linux/process-memory.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import * as ptrace from '../linux/ptrace.ts';
import { ALL_SIGNALS } from '../linux/signals.ts';
import { awaitStop, type RemoteEvents, TraceeError } from './remote-run.ts';
import { syscallName } from './syscall-name.ts';
import { throwFirst, together } from './together.ts';
import type { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';
import { armWayBack } from './way-back.ts';

/** A `syscall` instruction that the process can be sent to. */
export function bootstrapAddress(process: TracedProcess): TraceeAddress {
  process.bootstrapAddress ??= findInstruction(process);
  return process.bootstrapAddress;
}

function findInstruction(process: TracedProcess): TraceeAddress {
  const vdso = readMaps(process.pid).find((m) => m.name === '[vdso]');
  // A program may have unmapped it; then the one in its C library must do
  if (!vdso && process.wayBack) return process.wayBack.syscallRet;
  if (!vdso) throw new Error(`process ${process.pid} has no vDSO to make system calls with`);
  const code = readMemory(process.pid, vdso.start, Number(vdso.end - vdso.start));
  const at = code.indexOf(SYSCALL_INSTRUCTION);
  if (at < 0) throw new Error(`the vDSO of process ${process.pid} has no syscall instruction`);
  return vdso.start + BigInt(at);
}

/**
 * Makes one system call in a stopped thread. No code is written and no signal is raised: the thread runs from one
 * system call stop to the next. If the engine is killed in between, the thread finds its way back by a signal frame on
 * its own stack (way-back.ts); where it has none, it goes on with foreign registers. So this is used for nothing but
 * mapping and unmapping the interpreter (25 to 130 us each), and for what no mapping can do.
 *
 * @returns the kernel's answer, `-errno` on failure
 */
export function bootstrapCall(
  thread: TracedThread,
  nr: number,
  args: readonly Word[],
  events?: RemoteEvents,
): bigint {
  const call = new BootstrapCall(thread, nr, args, events);
  throwFirst(callTogether([call]));
  return call.result;
}

/** As {@link bootstrapCall} in many processes at the same time. @returns which failed to make theirs, and why */
export const callTogether = <T extends BootstrapCall>(
  calls: readonly T[],
): ReadonlyMap<T, unknown> =>
  together(
    calls,
    (call) => call.start(),
    (call) => call.enter(),
    (call) => call.finish(),
  );

/** A bootstrap call in its steps. */
export class BootstrapCall {
  readonly thread: TracedThread;
  readonly #nr: number;
  readonly #args: readonly Word[];
  readonly #events: RemoteEvents;
  #result: bigint | undefined;

  constructor(
    thread: TracedThread,
    nr: number,
    args: readonly Word[],
    events: RemoteEvents = { born: undefined, exec: false },
  ) {
    this.thread = thread;
    this.#nr = nr;
    this.#args = args;
    this.#events = events;
  }

  start(): void {
    const { thread } = this;
    const { process } = thread;
    const instruction = bootstrapAddress(process);
    thread.saveBeforeUse();
    const registers = BigUint64Array.from(thread.registers);
    const way = process.wayBack && armWayBack(thread, process.wayBack);
    registers[REG.rax] = BigInt(this.#nr);
    registers[REG.origRax] = unsigned(-1);
    registers[REG.rip] = way?.rip ?? instruction;
    if (way) registers[REG.rsp] = way.rsp;
    ARGUMENT_REGISTERS.forEach((place, i) => {
      registers[place] = unsigned(this.#args[i] ?? 0);
    });
    thread.sendTo(registers, ALL_SIGNALS);
    thread.place = 'syscall';
    this.#goOn();
  }

  /** From the entry of the system call to its exit. */
  enter(): void {
    awaitStop(this.thread, { kind: 'syscall-stop' }, this.#events);
    this.#goOn();
  }

  finish(): void {
    awaitStop(this.thread, { kind: 'syscall-stop' }, this.#events);
    this.#result = signed(ptrace.getRegisters(this.thread.tid)[REG.rax]!);
  }

  #goOn(): void {
    const { tid } = this.thread;
    if (!ptrace.resumeToSyscall(tid)) throw new TraceeError(tid, { kind: 'killed', signal: 9 });
  }

  /** The kernel's answer, `-errno` on failure. */
  get result(): bigint {
    if (this.#result === undefined) throw new Error(`${syscallName(this.#nr)} was not made`);
    return this.#result;
  }

  /** As {@link result}, throws when the call failed. */
  get success(): bigint {
    const { result } = this;
    if (result >= 0n) return result;
    throw new LinuxError(`remote ${syscallName(this.#nr)}`, Number(-result), {
      pid: this.thread.process.pid,
    });
  }
}

/**
 * Brings a thread whose last stop was a system call or a birth into the kernel's signal loop, where registers written back
 * are judged by the kernel's restart rules.
 */
export function settle(thread: TracedThread): void {
  startSettling(thread);
  endSettling(thread);
}

/** First half of {@link settle}. */
export function startSettling(thread: TracedThread): void {
  if (thread.place === 'signal-loop') return;
  ptrace.interrupt(thread.tid);
  if (!ptrace.resume(thread.tid)) throw new TraceeError(thread.tid, { kind: 'killed', signal: 9 });
}

/** Second half of {@link settle}. */
export function endSettling(thread: TracedThread): void {
  if (thread.place === 'signal-loop') return;
  awaitStop(thread, { kind: 'event-stop' }, { born: undefined, exec: false });
  thread.place = 'signal-loop';
}
