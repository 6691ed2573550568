// Registrations for expedited memory barriers, membarrier(2).
import { SYS } from '../arch/x86-64.ts';
import type { ProcessKind } from './state-kind.ts';

const GET_REGISTRATIONS = 1 << 9;
/** the commands that register, one bit each */
const REGISTER_BITS = [1 << 2, 1 << 4, 1 << 6, 1 << 8] as const;

export const membarrier: ProcessKind = {
  name: 'membarrier',
  scope: 'process',
  stage: 'resources',

  collect(_subject, remote) {
    const asked = remote.call(SYS.membarrier, GET_REGISTRATIONS, 0, 0);
    return ({ task }) => {
      // Linux 6.3 can tell; before that a program that registers anew finds the same behaviour.
      if (asked.value > 0n) task.membarrierRegistrationMask = asked.number;
    };
  },

  restore(saved, { batch }) {
    const mask = saved.core.tc?.membarrierRegistrationMask ?? 0;
    for (const bit of REGISTER_BITS) {
      if (mask & bit) batch.must(SYS.membarrier, bit, 0, 0);
    }
  },
};
