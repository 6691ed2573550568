// Since when a sleeping thread sleeps: seen before it is disturbed, because the stop itself wakes it.
import { SYS } from '../arch/x86-64.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import { type LastRun, lastRun, schedulerClockLags } from '../linux/scheduler-clock.ts';
import { seenCall } from './seen-call.ts';
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
  const seen = seenCall(task);
  if (!seen || !RELATIVE_WAITS.has(seen.call)) return [];
  thread.seenCall = seen;
  // First the count: should it run before the time is read, the count at the freeze will tell.
  const switches = voluntarySwitches(tryReadProc(`${task}/status`) ?? '');
  const last = lastRun(task);
  return switches === undefined || !last ? [] : [{ thread, call: seen.call, switches, last }];
}

/** From the text of /proc/PID/task/TID/status. */
export function voluntarySwitches(status: string): number | undefined {
  const match = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status);
  return match ? Number(match[1]) : undefined;
}
