// The registration of a thread's area for restartable sequences, rseq(2). A section in which the thread was stopped has
// been left before (tracee/critical-section.ts).
import { SYS } from '../arch/x86-64.ts';
import type { ThreadKind } from './state-kind.ts';

export const rseq: ThreadKind = {
  name: 'rseq',
  scope: 'thread',
  stage: 'threads',

  collect({ thread }) {
    const registration = thread.rseq;
    return ({ threadCore }) => {
      if (!registration) return;
      threadCore.rseqEntry = {
        rseqAbiPointer: registration.address,
        rseqAbiSize: registration.length,
        signature: registration.signature,
      };
    };
  },

  restore(core, { batch }) {
    const saved = core.threadCore?.rseqEntry;
    if (!saved) return;
    batch.must(SYS.rseq, saved.rseqAbiPointer, saved.rseqAbiSize, 0, saved.signature);
  },
};
