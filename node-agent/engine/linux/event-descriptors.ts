// Making eventfd, epoll, signalfd and timerfd descriptors, all close-on-exec.
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';

const CLOEXEC = 0o2000000;
const EFD_SEMAPHORE = 1;
const TFD_IOC_SET_TICKS = 0x40085400;
const SIGSET_BYTES = 8;

const scratch = allocate(4096);

/** eventfd(2) with a full 64-bit counter. @param flags O_NONBLOCK or 0 */
export function makeEventFd(counter: bigint, flags: number, semaphore: boolean): number {
  const how = flags | CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0);
  const fd = check(syscall(SYS.eventfd2, 0, how), 'eventfd2');
  if (counter > 0n) {
    // The call itself takes only 32 bits.
    scratch.words[0] = counter;
    check(syscall(SYS.write, fd, scratch.address, 8), 'write(eventfd)');
  }
  return fd;
}

/** epoll_create1(2) */
export function makeEpoll(): number {
  return check(syscall(SYS.epoll_create1, CLOEXEC), 'epoll_create1');
}

/** signalfd(2). @param mask bit n-1 is signal n */
export function makeSignalFd(mask: bigint, flags: number): number {
  scratch.words[0] = mask;
  const args = [-1, scratch.address, SIGSET_BYTES, flags | CLOEXEC] as const;
  return check(syscall(SYS.signalfd4, ...args), 'signalfd4');
}

/** timerfd_create(2) */
export function makeTimerFd(clock: number, flags: number): number {
  return check(syscall(SYS.timerfd_create, clock, flags | CLOEXEC), 'timerfd_create');
}

/** Sets the number of expirations that were not read yet (CONFIG_CHECKPOINT_RESTORE); 0 is refused by the kernel. */
export function setTimerTicks(fd: number, ticks: bigint): void {
  scratch.words[0] = ticks;
  check(syscall(SYS.ioctl, fd, TFD_IOC_SET_TICKS, scratch.address), 'ioctl(TFD_IOC_SET_TICKS)');
}

/** timerfd_gettime(2), for its effect: expirations of an interval timer since the last look are counted. */
export function countTimerTicks(fd: number): void {
  check(syscall(SYS.timerfd_gettime, fd, scratch.address), 'timerfd_gettime');
}

/** clock_gettime(2) in nanoseconds. */
export function clockNanos(clock: number): bigint {
  check(syscall(SYS.clock_gettime, clock, scratch.address), 'clock_gettime');
  return (scratch.words[0] as bigint) * 1_000_000_000n + (scratch.words[1] as bigint);
}
