// Pages that somebody else brings when they are touched: userfaultfd(2) in missing mode, with the events by which the kernel
// tells that memory was moved, dropped or forked. Source: Documentation/admin-guide/mm/userfaultfd.rst
import { openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { allocate, errnoName, syscall } from './ffi.ts';

const O_RDWR_CLOEXEC = 0o2 | 0o2000000;
/** close-on-exec and non-blocking; without UFFD_USER_MODE_ONLY, so that system calls wait for missing pages, too */
export const MISSING_FLAGS = 0x80000 | 0x800;
/** USERFAULTFD_IOC_NEW: makes a descriptor for whoever asks, with the rights of the one who opened the device (Linux 6.1) */
export const NEW_DESCRIPTOR = 0xaa00;

const UFFDIO_API = 0xc018aa3f;
const UFFDIO_REGISTER = 0xc020aa00;
const API_VERSION = 0xaan;
const EVENTS =
  (1n << 1n) | // EVENT_FORK
  (1n << 2n) | // EVENT_REMAP
  (1n << 3n) | // EVENT_REMOVE
  (1n << 6n); // EVENT_UNMAP
const REGISTER_MODE_MISSING = 1n;

const argument = allocate(4096);

/** A process without rights may make descriptors through it. */
export function openUserfaultfdDevice(): OwnedFd | undefined {
  try {
    return new OwnedFd(openSync('/dev/userfaultfd', O_RDWR_CLOEXEC));
  } catch {
    return undefined;
  }
}

/** Prepares a fresh descriptor. @returns name of the error; undefined: it is ready */
export function enableMissingPages(fd: number): string | undefined {
  argument.words.set([API_VERSION, EVENTS, 0n]);
  const result = syscall(SYS.ioctl, fd, UFFDIO_API, argument.address);
  return result < 0 ? errnoName(-result) : undefined;
}

/** From now on whoever touches a page that is not there waits. @returns false for memory where that cannot be */
export function letMissingPagesWait(fd: number, start: bigint, end: bigint): boolean {
  argument.words.set([start, end - start, REGISTER_MODE_MISSING, 0n]);
  return syscall(SYS.ioctl, fd, UFFDIO_REGISTER, argument.address) >= 0;
}
