// The clocks by which the scheduler says when a thread last ran. Each CPU has one of its own, and it stands still while a
// hypervisor has given the CPU to somebody else: after hours they differ by seconds. kernel/sched/core.c, rq_clock_task().
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from './ffi.ts';
import { tryReadProc } from './procfs/read.ts';

const MASK_BYTES = 1024;
const allowed = allocate(MASK_BYTES);
const one = allocate(MASK_BYTES);

export interface LastRun {
  readonly cpu: number;
  /** by the scheduler clock of `cpu`, milliseconds */
  readonly atMillis: number;
}

/**
 * When and where a thread last ran (proc_pid_sched, se.exec_start; proc_pid_stat(5), field 39). A kernel without
 * CONFIG_SCHED_DEBUG tells nothing.
 *
 * @param task its folder in /proc
 */
export function lastRun(task: string): LastRun | undefined {
  const start = /^se\.exec_start\s*:\s*([\d.]+)$/m.exec(tryReadProc(`${task}/sched`) ?? '');
  const stat = tryReadProc(`${task}/stat`) ?? '';
  // The name of a program may hold anything; what follows its last parenthesis is field 3.
  const cpu = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[36];
  return start && cpu ? { cpu: Number(cpu), atMillis: Number(start[1]) } : undefined;
}

/**
 * By how much performance.now() is ahead of each CPU's scheduler clock, milliseconds; too large by up to a tick, never too
 * small, for now and for all time before: it only grows. This thread visits the CPUs; those that it may not run on
 * are left out.
 */
export function schedulerClockLags(cpus: ReadonlySet<number>): ReadonlyMap<number, number> {
  const lags = new Map<number, number>();
  const length = syscall(SYS.sched_getaffinity, 0, MASK_BYTES, allowed.address);
  if (length < 0) return lags;
  try {
    for (const cpu of cpus) {
      one.bytes.fill(0);
      one.bytes[cpu >> 3] = 1 << (cpu & 7);
      if (syscall(SYS.sched_setaffinity, 0, length, one.address) < 0) continue;
      const here = lastRun('/proc/thread-self');
      if (here?.cpu === cpu) lags.set(cpu, performance.now() - here.atMillis);
    }
  } finally {
    syscall(SYS.sched_setaffinity, 0, length, allowed.address);
  }
  return lags;
}
