// Who gets SIGIO for a descriptor: F_SETOWN_EX, F_SETSIG and F_GETOWNER_UIDS of fcntl(2).
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';

const F_SETSIG = 10;
const F_GETSIG = 11;
const F_SETOWN_EX = 15;
const F_GETOWN_EX = 16;
const F_GETOWNER_UIDS = 17;

export const OWNER_COMMAND = { F_SETOWN: 8, F_SETSIG, F_SETOWN_EX } as const;

const scratch = allocate(4096);

export interface FileOwner {
  /** F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2 */
  readonly type: number;
  /** as the caller's pid namespace numbers it; 0 = nobody */
  readonly pid: number;
  readonly signal: number;
  readonly uid: number;
  readonly euid: number;
}

/** Owner of an open file of this process; undefined where the kind of file has none. */
export function fileOwner(fd: number): FileOwner | undefined {
  if (syscall(SYS.fcntl, fd, F_GETOWN_EX, scratch.address) < 0) return undefined;
  const type = scratch.view.getInt32(0, true);
  const pid = scratch.view.getInt32(4, true);
  const signal = check(syscall(SYS.fcntl, fd, F_GETSIG, 0), 'fcntl(F_GETSIG)');
  if (pid === 0) return { type: 0, pid: 0, signal, uid: 0, euid: 0 };
  // Only with CONFIG_CHECKPOINT_RESTORE; without it whoever is owner is so with nobody's rights.
  const known = syscall(SYS.fcntl, fd, F_GETOWNER_UIDS, scratch.address) === 0;
  const uid = known ? scratch.view.getUint32(0, true) : 0;
  const euid = known ? scratch.view.getUint32(4, true) : 0;
  return { type, pid, signal, uid, euid };
}
