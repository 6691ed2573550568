// A duplicate of somebody's open file, and whom that signals (F_SETOWN_EX, F_SETSIG of fcntl(2)), at once.
import { SYS } from '../arch/x86-64.ts';
import { CallBatch } from './call-batch.ts';
import type { OwnedFd } from './descriptors.ts';
import { check } from './error.ts';

const F_GETSIG = 11;
const F_GETOWN_EX = 16;
/** struct f_owner_ex */
const OWNER_BYTES = 8;

/** Places in the batch. */
const CALL = { TAKE: 0, OWNER: 1, SIGNAL: 2 } as const;
const batch = new CallBatch(3, OWNER_BYTES);
batch.set(CALL.TAKE, SYS.pidfd_getfd, 0, 0, 0);
batch.set(CALL.OWNER, SYS.fcntl, { call: CALL.TAKE }, F_GETOWN_EX, batch.at(0));
batch.set(CALL.SIGNAL, SYS.fcntl, { call: CALL.TAKE }, F_GETSIG, 0);

/** Whom an open file signals. */
export interface Signalled {
  /** F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2 */
  readonly type: number;
  /** as the caller's pid namespace numbers it; 0 = nobody */
  readonly pid: number;
  readonly signal: number;
}

export interface Duplicate {
  /** this process's own */
  readonly fd: number;
  /** undefined where the kind of file has none (O_PATH) */
  readonly signalled: Signalled | undefined;
}

/** @throws LinuxError EBADF when there is no such descriptor */
export function duplicateFile(pidfd: OwnedFd, fd: number, pid: number): Duplicate {
  batch.setArgument(CALL.TAKE, 0, pidfd.fd);
  batch.setArgument(CALL.TAKE, 1, fd);
  batch.run(3);
  const taken = check(batch.result(CALL.TAKE), 'pidfd_getfd', { pid, object: `fd ${fd}` });
  const signal = batch.result(CALL.SIGNAL);
  if (batch.result(CALL.OWNER) < 0 || signal < 0) return { fd: taken, signalled: undefined };
  const [type, owner] = [batch.view.getInt32(0, true), batch.view.getInt32(4, true)];
  return { fd: taken, signalled: { type, pid: owner, signal } };
}
