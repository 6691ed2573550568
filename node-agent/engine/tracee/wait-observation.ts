// Since when a sleeping thread sleeps: seen before it is disturbed, because the stop itself wakes it.
import { REG, type Registers, SYS, signed } from '../arch/x86-64.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import { type LastRun, lastRun, schedulerClockLags } from '../linux/scheduler-clock.ts';
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
  /** performance.now() when it last ran, or a little after; undefined when it slept where the engine may not run */
  readonly sinceMillis: number | undefined;
  /** voluntary context switches so far: one more at the freeze means that it has not run in between */
  readonly switches: number;
}

type Sleeper = Omit<WaitObservation, 'sinceMillis'> & {
  readonly thread: TracedThread;
  readonly last: LastRun;
};

/** Notes the start of every relative wait. */
export function observeWaits(processes: readonly TracedProcess[]): void {
  const sleepers = processes.flatMap((process) => [...process.threads.values()].flatMap(observe));
  // Afterwards: a lag only grows, and one that is too large makes a wait too long, never too short.
  const lags = schedulerClockLags(new Set(sleepers.map(({ last }) => last.cpu)));
  for (const { thread, call, switches, last } of sleepers) {
    const lag = lags.get(last.cpu);
    const sinceMillis = lag === undefined ? undefined : last.atMillis + lag;
    thread.wait = { call, switches, sinceMillis };
  }
}

function observe(thread: TracedThread): Sleeper[] {
  const task = `/proc/${thread.process.pid}/task/${thread.tid}`;
  const call = waitingCall(task);
  if (call === undefined || !RELATIVE_WAITS.has(call)) return [];
  // First the count: should it run before the time is read, the count at the freeze will tell.
  const switches = voluntarySwitches(tryReadProc(`${task}/status`) ?? '');
  const last = lastRun(task);
  return switches === undefined || !last ? [] : [{ thread, call, switches, last }];
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
