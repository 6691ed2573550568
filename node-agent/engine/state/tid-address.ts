// Where the kernel clears the thread's id and wakes a futex when it ends: set_tid_address(2), what pthread_join waits on.
import { SYS } from '../arch/x86-64.ts';
import type { ThreadKind } from './state-kind.ts';

const PR_GET_TID_ADDRESS = 40;

export const tidAddress: ThreadKind = {
  name: 'tid-address',
  scope: 'thread',
  stage: 'threads',

  collect({ process, thread }, remote) {
    const address = remote.space(8);
    const asked = remote.call(SYS.prctl, PR_GET_TID_ADDRESS, address);
    return ({ threadInfo }) => {
      // Only a kernel without CONFIG_CHECKPOINT_RESTORE does not know the question.
      threadInfo.clearTidAddr = asked.value < 0n ? 0n : address.word(0);
      if (asked.value < 0n) {
        process.report({
          code: 'TidAddressUnknown',
          severity: 'refusal',
          pid: thread.process.nsPid,
          tid: thread.nsTid,
          object: 'set_tid_address',
          advice: 'the kernel lacks CONFIG_CHECKPOINT_RESTORE; use a node whose kernel has it',
        });
      }
    };
  },

  restore(core, { batch }) {
    const address = core.threadInfo?.clearTidAddr ?? 0n;
    if (address !== 0n) batch.must(SYS.set_tid_address, address);
  },
};
