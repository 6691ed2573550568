// inotify(7): making instances and watches with the numbers they had; opening inodes by their handles.
import { SYS } from '../arch/x86-64.ts';
import { fcntl } from './descriptors.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { O } from './file-facts.ts';

/** Sets the number of the next watch (Linux 4.17, CONFIG_CHECKPOINT_RESTORE). */
const INOTIFY_IOC_SETNEXTWD = 0x40044900;
/** struct file_handle up to its bytes, and MAX_HANDLE_SZ */
const HANDLE_HEADER_BYTES = 8;
const MAX_HANDLE_BYTES = 128;

const AT_FDCWD = -100;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

const scratch = allocate(8192);

/** inotify_init1(2), close-on-exec. */
export function makeInotify(flags: number): number {
  return check(syscall(SYS.inotify_init1, (flags & O.NONBLOCK) | O.CLOEXEC), 'inotify_init1');
}

/** Watches the inode behind a descriptor of this process, under a number of the caller's choice. */
export function addWatch(inotify: number, target: number, mask: number, wd: number): void {
  check(syscall(SYS.ioctl, inotify, INOTIFY_IOC_SETNEXTWD, wd), 'ioctl(INOTIFY_IOC_SETNEXTWD)');
  scratch.bytes.write(`/proc/self/fd/${target}\0`, 'latin1');
  const got = syscall(SYS.inotify_add_watch, inotify, scratch.address, mask);
  if (check(got, 'inotify_add_watch', { object: `watch ${wd}` }) !== wd) {
    throw new Error(`watch ${wd} came to be as ${got}`);
  }
}

const FAN_MARK_ADD = 1;

/** fanotify_init(2), close-on-exec by its descriptor: the flag of the same meaning would stay visible in the group. */
export function makeFanotify(flags: number, eventFlags: number): number {
  const fd = check(syscall(SYS.fanotify_init, flags, eventFlags), 'fanotify_init');
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

/** fanotify_mark(2) of what a descriptor of this process leads to. @param how FAN_MARK_* but ADD */
export function addMark(fanotify: number, how: number, mask: number, target: number): void {
  scratch.bytes.write(`/proc/self/fd/${target}\0`, 'latin1');
  const args = [fanotify, how | FAN_MARK_ADD, mask >>> 0, AT_FDCWD, scratch.address] as const;
  check(syscall(SYS.fanotify_mark, ...args), 'fanotify_mark', { object: `mask ${mask}` });
}

/** A handle as name_to_handle_at(2) gives it. */
export interface FileHandle {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/**
 * open_by_handle_at(2) with O_PATH.
 *
 * @param mount descriptor of any file of that file system
 * @returns descriptor, or -errno: not every file system opens by handle
 */
export function openByHandle(mount: number, { type, bytes }: FileHandle): number {
  if (bytes.length === 0 || bytes.length > MAX_HANDLE_BYTES) return -22;
  scratch.view.setUint32(0, bytes.length, true);
  scratch.view.setInt32(4, type, true);
  scratch.bytes.set(bytes, HANDLE_HEADER_BYTES);
  return syscall(SYS.open_by_handle_at, mount, scratch.address, O.PATH | O.CLOEXEC);
}
