// Scheduling policy, nice value, CPU affinity, I/O priority and timer slack of a thread.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import type { ThreadKind } from './state-kind.ts';

const AFFINITY_BYTES = 128;
const PRIO_PROCESS = 0;
const IOPRIO_WHO_PROCESS = 1;
const PR_SET_TIMERSLACK = 29;
const PR_GET_TIMERSLACK = 30;
const SCHED_RR = 2;
const answer = allocate(4096);

/** -errno or the value. */
const ask = (nr: number, ...args: [number, (number | bigint)?, (number | bigint)?]): number =>
  syscall(nr, ...args);

function affinityOf(tid: number): Buffer {
  const length = ask(SYS.sched_getaffinity, tid, AFFINITY_BYTES, answer.address);
  return Buffer.from(answer.bytes.subarray(0, Math.max(0, length)));
}

function realtimePriorityOf(tid: number): number {
  const result = ask(SYS.sched_getparam, tid, answer.address);
  if (result < 0) throw new LinuxError('sched_getparam', -result, { pid: tid });
  return answer.view.getInt32(0, true);
}

export const scheduling: ThreadKind = {
  name: 'scheduling',
  scope: 'thread',
  stage: 'threads',

  collect({ thread }, remote) {
    const { tid } = thread;
    const policy = ask(SYS.sched_getscheduler, tid);
    // The raw call answers 20 - nice (getpriority(2), "C library/kernel differences").
    const nice = 20 - ask(SYS.getpriority, PRIO_PROCESS, tid);
    const priority = realtimePriorityOf(tid);
    const affinity = affinityOf(tid);
    const ioPriority = ask(SYS.ioprio_get, IOPRIO_WHO_PROCESS, tid);
    const slack = remote.must(SYS.prctl, PR_GET_TIMERSLACK);
    return ({ threadCore }) => {
      threadCore.schedPolicy = policy;
      threadCore.schedNice = nice;
      threadCore.schedPrio = priority;
      threadCore.cpuAffinity = affinity;
      if (ioPriority > 0) threadCore.ioprio = ioPriority;
      threadCore.timerSlackNs = slack.value;
    };
  },

  restore(core, { batch }) {
    const saved = core.threadCore;
    if (!saved) return;
    if (saved.schedNice) batch.call(SYS.setpriority, PRIO_PROCESS, 0, saved.schedNice);
    if (saved.schedPolicy) {
      const parameter = Buffer.alloc(4);
      if (saved.schedPolicy <= SCHED_RR) parameter.writeInt32LE(saved.schedPrio ?? 0, 0);
      batch.call(SYS.sched_setscheduler, 0, saved.schedPolicy, batch.bytes(parameter));
    }
    // A pod's own set of CPUs wins: the kernel refuses a mask outside of it, and keeps the inherited one.
    if (saved.cpuAffinity?.length) {
      batch.call(
        SYS.sched_setaffinity,
        0,
        saved.cpuAffinity.length,
        batch.bytes(saved.cpuAffinity),
      );
    }
    if (saved.ioprio) batch.call(SYS.ioprio_set, IOPRIO_WHO_PROCESS, 0, saved.ioprio);
    if (saved.timerSlackNs) batch.call(SYS.prctl, PR_SET_TIMERSLACK, saved.timerSlackNs);
  },
};
