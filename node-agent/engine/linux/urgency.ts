// The engine's thread before all ordinary ones: while it holds an application still, every wait for a CPU would be the
// application's.
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from './ffi.ts';

const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** threads and children that are born meanwhile are ordinary */
const SCHED_RESET_ON_FORK = 0x40000000;
const LOWEST_REALTIME_PRIORITY = 1;

const parameter = allocate(4096);

/**
 * `using urgency = hurry()`: until the end of the scope this thread runs whenever it can. It must not take longer than a
 * freeze, and waits by sleeping (tracee/deadline.ts), so that the application gets its turns. A nice value would not do: it
 * counts only within a cgroup and a session. Where the kernel denies it (no CAP_SYS_NICE, a cgroup v1 without real-time
 * share) nothing changes.
 */
export function hurry(): Disposable {
  parameter.view.setInt32(0, LOWEST_REALTIME_PRIORITY, true);
  const policy = SCHED_RR | SCHED_RESET_ON_FORK;
  const denied = syscall(SYS.sched_setscheduler, 0, policy, parameter.address) < 0;
  return {
    [Symbol.dispose]() {
      if (denied) return;
      parameter.view.setInt32(0, 0, true);
      syscall(SYS.sched_setscheduler, 0, SCHED_OTHER, parameter.address);
    },
  };
}
