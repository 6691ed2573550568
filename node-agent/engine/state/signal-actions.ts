// What each signal does, sigaction(2).
import { SYS } from '../arch/x86-64.ts';
import { SIGNAL } from '../linux/signals.ts';
import type { ProcessKind } from './state-kind.ts';

const SIGNALS = 64;
const KERNEL_SIGACTION_BYTES = 32;
const MASK_BYTES = 8;

/** CRIU's order: 1 to 64 without the two that cannot be changed. */
const changeable = Array.from({ length: SIGNALS }, (_, i) => i + 1).filter(
  (signal) => signal !== SIGNAL.SIGKILL && signal !== SIGNAL.SIGSTOP,
);

export const signalActions: ProcessKind = {
  name: 'signal-actions',
  scope: 'process',
  stage: 'resources',

  collect(_subject, remote) {
    const actions = remote.space(SIGNALS * KERNEL_SIGACTION_BYTES);
    for (const signal of changeable) {
      const at = actions.address + BigInt((signal - 1) * KERNEL_SIGACTION_BYTES);
      remote.must(SYS.rt_sigaction, signal, 0, at, MASK_BYTES);
    }
    return ({ task }) => {
      task.sigactions = changeable.map((signal) => {
        const word = ((signal - 1) * KERNEL_SIGACTION_BYTES) / 8;
        return {
          sigaction: actions.word(word),
          flags: actions.word(word + 1),
          restorer: actions.word(word + 2),
          mask: actions.word(word + 3),
          compatSigaction: false,
        };
      });
    };
  },

  restore(saved, builder) {
    const actions = saved.core.tc?.sigactions.slice(0, changeable.length) ?? [];
    builder.makeRoom(changeable.length, actions.length * KERNEL_SIGACTION_BYTES + 16);
    const words = new BigUint64Array((actions.length * KERNEL_SIGACTION_BYTES) / 8);
    actions.forEach(({ sigaction, flags, restorer, mask }, i) => {
      words.set([sigaction, flags, restorer, mask], (i * KERNEL_SIGACTION_BYTES) / 8);
    });
    const { batch } = builder;
    const { address } = batch.bytes(new Uint8Array(words.buffer));
    for (const i of actions.keys()) {
      const at = address + BigInt(i * KERNEL_SIGACTION_BYTES);
      batch.must(SYS.rt_sigaction, changeable[i]!, at, 0, MASK_BYTES);
    }
  },
};
