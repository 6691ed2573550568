// Which open file does an epoll set watch? kcmp(2) with KCMP_EPOLL_TFD (Linux 4.13).
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';

const KCMP_EPOLL_TFD = 7;
const scratch = allocate(4096);

/** One watch of an epoll set. */
export interface EpollSlot {
  /** process and descriptor of the set */
  readonly pid: number;
  readonly epoll: number;
  /** number under which the target was added */
  readonly target: number;
  /** which of several watches under that number, in the order of fdinfo */
  readonly index: number;
}

/** Is the file behind descriptor `fd` of process `pid` what the set watches there? */
export function isEpollTarget(slot: EpollSlot, pid: number, fd: number): boolean {
  scratch.view.setUint32(0, slot.epoll, true);
  scratch.view.setUint32(4, slot.target, true);
  scratch.view.setUint32(8, slot.index, true);
  const args = [pid, slot.pid, KCMP_EPOLL_TFD, fd, scratch.address] as const;
  return check(syscall(SYS.kcmp, ...args), 'kcmp(KCMP_EPOLL_TFD)', { pid }) === 0;
}
