// Where the kernel clears the thread's id and wakes a futex when it ends: set_tid_address(2), what pthread_join waits on.
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import type { ThreadKind } from './state-kind.ts';

export const PR_GET_TID_ADDRESS = 40;
const own = allocate(4096);

export const tidAddress: ThreadKind = {
  name: 'tid-address',
  scope: 'thread',
  stage: 'threads',

  collect({ process, thread }, remote) {
    const address = remote.space(8);
    // Only a kernel without CONFIG_CHECKPOINT_RESTORE does not know the question, and tells us the same.
    if (syscall(SYS.prctl, PR_GET_TID_ADDRESS, own.address) < 0) {
      process.report({
        code: 'TidAddressUnknown',
        severity: 'refusal',
        pid: thread.process.nsPid,
        tid: thread.nsTid,
        object: 'set_tid_address',
        advice: 'the kernel lacks CONFIG_CHECKPOINT_RESTORE; use a node whose kernel has it',
      });
    } else remote.must(SYS.prctl, PR_GET_TID_ADDRESS, address);
    return ({ threadInfo }) => {
      threadInfo.clearTidAddr = address.word(0);
    };
  },

  restore(core, { batch }) {
    const address = core.threadInfo?.clearTidAddr ?? 0n;
    if (address !== 0n) batch.must(SYS.set_tid_address, address);
  },
};
