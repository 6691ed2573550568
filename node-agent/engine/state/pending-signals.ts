// Signals that were sent and not yet delivered, with all they carry.
import { SYS } from '../arch/x86-64.ts';
import { pendingSignals as peek } from '../linux/ptrace.ts';
import type { ProcessKind, ThreadKind } from './state-kind.ts';
import { isSentAgain } from './timer-overruns.ts';

/** siginfo_t begins with the signal's number. */
const numberOf = (siginfo: Uint8Array): number => Buffer.from(siginfo).readInt32LE(0);

/** Pending for one thread. */
export const threadPendingSignals: ThreadKind = {
  name: 'pending-signals-thread',
  scope: 'thread',
  stage: 'final',

  collect({ thread }) {
    const queue = peek(thread.tid, false);
    return ({ threadCore }) => {
      threadCore.signalsP = { signals: queue.map((siginfo) => ({ siginfo })) };
    };
  },

  restore(core, builder) {
    const { saved, process } = builder;
    const timers = process.saved.core.tc?.timers?.posix;
    for (const { siginfo } of core.threadCore?.signalsP?.signals ?? []) {
      if (isSentAgain(siginfo, timers)) continue;
      builder.makeRoom(1, siginfo.length + 16);
      // A thread may send itself any siginfo (rt_tgsigqueueinfo(2)); all signals are blocked meanwhile.
      const info = builder.batch.bytes(siginfo);
      builder.batch.must(
        SYS.rt_tgsigqueueinfo,
        process.saved.pid,
        saved.tid,
        numberOf(siginfo),
        info,
      );
    }
  },
};

/** Pending for the process. */
export const sharedPendingSignals: ProcessKind = {
  name: 'pending-signals-shared',
  scope: 'process',
  stage: 'final',

  collect({ process }) {
    const queue = peek(process.leader.tid, true);
    return (record) => {
      record.task.signalsS = { signals: queue.map((siginfo) => ({ siginfo })) };
    };
  },

  restore(saved, builder) {
    const timers = saved.core.tc?.timers?.posix;
    for (const { siginfo } of saved.core.tc?.signalsS?.signals ?? []) {
      if (isSentAgain(siginfo, timers)) continue;
      builder.makeRoom(1, siginfo.length);
      const info = builder.batch.bytes(siginfo);
      builder.batch.must(SYS.rt_sigqueueinfo, saved.pid, numberOf(siginfo), info);
    }
  },
};
