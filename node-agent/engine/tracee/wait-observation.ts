// Since when a sleeping thread sleeps: seen before it is disturbed, because the stop itself wakes it.
import { REG, type Registers, SYS, signed } from '../arch/x86-64.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import type { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';

/** Calls that hold their remaining time in a restart block and may be given it relative. */
const RELATIVE_WAITS: ReadonlySet<number> = new Set([
  SYS.nanosleep,
  SYS.clock_nanosleep,
  SYS.futex,
  SYS.poll,
]);

export interface WaitObservation {
  /** never restart_syscall(2), but what that goes on with */
  readonly call: number;
  /** scheduler clock when it last ran, milliseconds (proc_pid_sched, se.exec_start) */
  readonly sinceMillis: number;
  /** voluntary context switches so far: one more at the freeze means that it has not run in between */
  readonly switches: number;
  /** the scheduler's clock less performance.now(), milliseconds: too small by as long as the engine ran, never too large */
  readonly clockOffsetMillis: number;
}

/** The scheduler's clock at a moment of performance.now(), milliseconds; a few milliseconds late, never early. */
export const schedulerMillis = (wait: WaitObservation, atMillis: number): number =>
  atMillis + wait.clockOffsetMillis;

function execStart(path: string): number | undefined {
  const match = /^se\.exec_start\s*:\s*([\d.]+)$/m.exec(tryReadProc(path) ?? '');
  return match ? Number(match[1]) : undefined;
}

/** Notes the start of every relative wait. A kernel without CONFIG_SCHED_DEBUG tells nothing. */
export function observeWaits(process: TracedProcess): void {
  const now = execStart('/proc/self/sched');
  if (now === undefined) return;
  const clockOffsetMillis = now - performance.now();
  for (const thread of process.threads.values()) {
    const task = `/proc/${process.pid}/task/${thread.tid}`;
    const call = waitingCall(task);
    if (call === undefined || !RELATIVE_WAITS.has(call)) continue;
    const sinceMillis = execStart(`${task}/sched`);
    const switches = voluntarySwitches(tryReadProc(`${task}/status`) ?? '');
    if (sinceMillis === undefined || switches === undefined) continue;
    thread.wait = { call, sinceMillis, switches, clockOffsetMillis };
  }
}

function waitingCall(task: string): number | undefined {
  const [call, ...args] = (tryReadProc(`${task}/syscall`) ?? '').trim().split(' ').map(Number);
  return call === SYS.restart_syscall
    ? restartedCall(tryReadProc(`${task}/stack`) ?? '', args[0] ?? 0)
    : call;
}

/** Above every clock id there is, below every address. */
const FIRST_ADDRESS = 4096;

/**
 * What a thread in restart_syscall(2) goes on with: after a stop the kernel knows it, but the registers only hold the
 * arguments of that call.
 *
 * @param stack text of /proc/PID/task/TID/stack
 * @param first its first argument: nanosleep(2) has an address there, clock_nanosleep(2) a clock
 */
export function restartedCall(stack: string, first: number): number | undefined {
  if (/\bfutex_wait_restart\b/.test(stack)) return SYS.futex;
  if (/\bdo_restart_poll\b/.test(stack)) return SYS.poll;
  // Sleeps are all that is left: their restart functions end in the call of another one, so no stack names them.
  if (stack.trim() === '') return undefined;
  return first >= FIRST_ADDRESS ? SYS.nanosleep : SYS.clock_nanosleep;
}

/**
 * Registers that tell which call was interrupted, also when that was restart_syscall(2): no other process inherits what
 * the kernel would go on with.
 *
 * @param statusText of the stopped thread: the stop must be the one context switch since it was seen
 */
export function namedRegisters(thread: TracedThread, statusText: string): Registers {
  const { registers, wait } = thread;
  const isRestarted = Number(signed(registers[REG.origRax]!)) === SYS.restart_syscall;
  if (!isRestarted || !wait || voluntarySwitches(statusText) !== wait.switches + 1)
    return registers;
  const named = BigUint64Array.from(registers);
  named[REG.origRax] = BigInt(wait.call);
  return named;
}

/** From the text of /proc/PID/task/TID/status. */
export function voluntarySwitches(status: string): number | undefined {
  const match = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status);
  return match ? Number(match[1]) : undefined;
}
