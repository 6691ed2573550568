// setitimer(2): real, virtual and profiling.
import { SYS } from '../arch/x86-64.ts';
import type { ItimerEntry } from '../image/messages/signals.ts';
import type { RemoteData } from '../tracee/remote-word.ts';
import type { ProcessKind } from './state-kind.ts';

const ITIMERVAL_BYTES = 32;
const KINDS = ['real', 'virt', 'prof'] as const;

const decode = (value: RemoteData): ItimerEntry => ({
  isec: value.word(0),
  iusec: value.word(1),
  vsec: value.word(2),
  vusec: value.word(3),
});

export const intervalTimers: ProcessKind = {
  name: 'interval-timers',
  scope: 'process',
  // Armed last: a real one counts from here on.
  stage: 'final',

  collect(_subject, remote) {
    const values = KINDS.map((_, which) => {
      const value = remote.space(ITIMERVAL_BYTES);
      remote.must(SYS.getitimer, which, value);
      return value;
    });
    return ({ task }) => {
      const [real, virt, prof] = values.map(decode);
      task.timers = { ...task.timers, real: real!, virt: virt!, prof: prof! };
    };
  },

  restore(saved, { batch }) {
    const { timers } = saved.core.tc ?? {};
    if (!timers) return;
    KINDS.forEach((kind, which) => {
      const { isec, iusec, vsec, vusec } = timers[kind];
      if (isec === 0n && iusec === 0n && vsec === 0n && vusec === 0n) return;
      const value = Buffer.alloc(ITIMERVAL_BYTES);
      value.writeBigUInt64LE(isec, 0);
      value.writeBigUInt64LE(iusec, 8);
      // Zero left of a running timer would disarm it: it was just about to fire.
      value.writeBigUInt64LE(vsec, 16);
      value.writeBigUInt64LE(vsec === 0n && vusec === 0n ? 1n : vusec, 24);
      batch.must(SYS.setitimer, which, batch.bytes(value), 0);
    });
  },
};
