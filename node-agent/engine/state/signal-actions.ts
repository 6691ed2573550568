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
    builder.makeRoom(changeable.length, changeable.length * (KERNEL_SIGACTION_BYTES + 16));
    saved.core.tc?.sigactions.forEach((action, i) => {
      const signal = changeable[i];
      if (signal === undefined) return;
      const bytes = Buffer.alloc(KERNEL_SIGACTION_BYTES);
      bytes.writeBigUInt64LE(action.sigaction, 0);
      bytes.writeBigUInt64LE(action.flags, 8);
      bytes.writeBigUInt64LE(action.restorer, 16);
      bytes.writeBigUInt64LE(action.mask, 24);
      builder.batch.must(SYS.rt_sigaction, signal, builder.batch.bytes(bytes), 0, MASK_BYTES);
    });
  },
};
