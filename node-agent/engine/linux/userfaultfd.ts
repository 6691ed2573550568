// Write protection by userfaultfd(2) in asynchronous mode (Linux 6.7): nobody is woken by a fault, the kernel only notes that a
// page was written to, and PAGEMAP_SCAN tells. Source: Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { allocate, syscall } from './ffi.ts';

const O_CLOEXEC = 0x80000;
const O_NONBLOCK = 0x800;
/** what every user may ask for; writes by the kernel itself (read(2) into a buffer) are noted all the same */
const UFFD_USER_MODE_ONLY = 1;
export const UFFD_FLAGS = O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY;

const UFFDIO_API = 0xc018aa3f;
const UFFDIO_REGISTER = 0xc020aa00;
const UFFDIO_WRITEPROTECT = 0xc018aa06;
const API_VERSION = 0xaan;
const FEATURES =
  (1n << 0n) | // PAGEFAULT_FLAG_WP
  (1n << 12n) | // WP_HUGETLBFS_SHMEM
  (1n << 13n) | // WP_UNPOPULATED
  (1n << 15n); // WP_ASYNC
const REGISTER_MODE_WP = 2n;

const argument = allocate(4096);

/** Prepares a fresh descriptor. @returns false when this kernel has no asynchronous write protection */
export function enableWriteWatch(fd: number): boolean {
  argument.words.set([API_VERSION, FEATURES, 0n]);
  return syscall(SYS.ioctl, fd, UFFDIO_API, argument.address) >= 0;
}

/**
 * From now on writes to pages that are protected are noted.
 *
 * @returns false for memory that cannot be watched, or is by somebody else
 */
export function watchWrites(fd: number, start: bigint, end: bigint): boolean {
  argument.words.set([start, end - start, REGISTER_MODE_WP, 0n]);
  return syscall(SYS.ioctl, fd, UFFDIO_REGISTER, argument.address) >= 0;
}

/** Everything there counts as written to from here on, whatever marks its pages have brought along from elsewhere. */
export function forgetProtection(fd: number, start: bigint, end: bigint): void {
  argument.words.set([start, end - start, 0n]);
  syscall(SYS.ioctl, fd, UFFDIO_WRITEPROTECT, argument.address);
}

/** Can this kernel tell which pages were written to? */
export function canWatchWrites(): boolean {
  const fd = syscall(SYS.userfaultfd, UFFD_FLAGS);
  if (fd < 0) return false;
  using own = new OwnedFd(fd);
  return enableWriteWatch(own.fd);
}
