// The name of a thread, as `ps` and /proc/PID/comm show it.
import { SYS } from '../arch/x86-64.ts';
import { readProc } from '../linux/procfs/read.ts';
import type { ThreadKind } from './state-kind.ts';

const PR_SET_NAME = 15;

export const threadName: ThreadKind = {
  name: 'thread-name',
  scope: 'thread',
  // Last: until then the placeholder's name tells the startup probe that the restore is not done.
  stage: 'final',

  collect({ thread }) {
    const name = readProc(`/proc/${thread.process.pid}/task/${thread.tid}/comm`).replace(/\n$/, '');
    return ({ threadCore }) => {
      threadCore.comm = name;
    };
  },

  restore(core, { batch }) {
    batch.must(SYS.prctl, PR_SET_NAME, batch.text(core.threadCore?.comm ?? core.tc?.comm ?? ''));
  },
};
