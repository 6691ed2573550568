// Registrations for expedited memory barriers, membarrier(2).
import { SYS } from '../arch/x86-64.ts';
import { syscall } from '../linux/ffi.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import type { ProcessKind } from './state-kind.ts';

const GET_REGISTRATIONS = 1 << 9;
const REGISTER_GLOBAL = 1 << 2;
/** command that registers, and the one that is refused without (EPERM) */
const PRIVATE = [
  { register: 1 << 4, command: 1 << 3 },
  { register: 1 << 6, command: 1 << 5 },
  { register: 1 << 8, command: 1 << 7 },
] as const;
const REGISTER_BITS = [REGISTER_GLOBAL, ...PRIVATE.map(({ register }) => register)] as const;

/** Linux 6.3 */
const kernelTells = syscall(SYS.membarrier, GET_REGISTRATIONS, 0, 0) >= 0;

/**
 * Asks which registrations a process has.
 *
 * @param tells does the kernel know the question? Otherwise each command is tried. Of the global one no answer tells, and
 *   it is taken as registered: too many barriers cost a little time, one too few is an error of the application
 */
export function askRegistrations(
  remote: Pick<RemoteBatch, 'call'>,
  tells: boolean = kernelTells,
): () => number {
  if (tells) {
    const asked = remote.call(SYS.membarrier, GET_REGISTRATIONS, 0, 0);
    return () => Math.max(0, asked.number);
  }
  const tried = PRIVATE.map(({ register, command }) => ({
    register,
    answer: remote.call(SYS.membarrier, command, 0, 0),
  }));
  return () => {
    const registered = tried.filter(({ answer }) => answer.value === 0n);
    return registered.reduce((mask, { register }) => mask | register, REGISTER_GLOBAL);
  };
}

export const membarrier: ProcessKind = {
  name: 'membarrier',
  scope: 'process',
  stage: 'resources',

  collect(_subject, remote) {
    const registrations = askRegistrations(remote);
    return ({ task }) => {
      const mask = registrations();
      if (mask !== 0) task.membarrierRegistrationMask = mask;
    };
  },

  restore(saved, { batch }) {
    const mask = saved.core.tc?.membarrierRegistrationMask ?? 0;
    for (const bit of REGISTER_BITS) {
      if (mask & bit) batch.must(SYS.membarrier, bit, 0, 0);
    }
  },
};
