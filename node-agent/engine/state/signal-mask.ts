// Blocked signals: the real mask, also of a thread inside sigsuspend or ppoll.
import type { ThreadKind } from './state-kind.ts';

export const signalMask: ThreadKind = {
  name: 'signal-mask',
  scope: 'thread',
  stage: 'final',

  collect({ thread }) {
    const mask = thread.signalMask;
    return ({ threadCore }) => {
      // CRIU writes it twice for the leader: here and in the task's core (task-facts.ts copies it).
      threadCore.blkSigset = mask;
    };
  },

  restore(core, { thread }) {
    thread.signalMask = core.threadCore?.blkSigset ?? core.tc?.blkSigset ?? 0n;
  },
};
