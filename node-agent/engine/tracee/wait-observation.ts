// Since when a sleeping thread sleeps: seen before it is disturbed, because the stop itself wakes it.
import { SYS } from '../arch/x86-64.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';

/** Calls that hold their remaining time in a restart block and may be given it relative. */
const RELATIVE_WAITS: ReadonlySet<number> = new Set([
  SYS.nanosleep,
  SYS.clock_nanosleep,
  SYS.futex,
  SYS.poll,
]);

export interface WaitObservation {
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
    const call = Number((tryReadProc(`${task}/syscall`) ?? '').split(' ')[0]);
    if (!RELATIVE_WAITS.has(call)) continue;
    const sinceMillis = execStart(`${task}/sched`);
    const switches = voluntarySwitches(tryReadProc(`${task}/status`) ?? '');
    if (sinceMillis === undefined || switches === undefined) continue;
    thread.wait = { call, sinceMillis, switches, clockOffsetMillis };
  }
}

/** From the text of /proc/PID/task/TID/status. */
export function voluntarySwitches(status: string): number | undefined {
  const match = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status);
  return match ? Number(match[1]) : undefined;
}
