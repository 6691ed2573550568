// File descriptors of this process and, through pidfds, of others.
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';

const scratch = allocate(16384);

const O_CLOEXEC = 0x80000;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const SPLICE_MOVE = 1;
const SPLICE_NONBLOCK = 2;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** SCM_MAX_FD of the kernel */
export const MAX_RIGHTS = 253;

export function closeFd(fd: number): void {
  syscall(SYS.close, fd);
}

/** A descriptor with an owner: `using fd = new OwnedFd(...)` closes it. */
export class OwnedFd {
  readonly fd: number;
  constructor(fd: number) {
    this.fd = fd;
  }
  [Symbol.dispose](): void {
    closeFd(this.fd);
  }
}

/**
 * Makes room for so many descriptors in this process, or as many as its limit allows. A table that is full grows to twice
 * its size, and the kernel then waits until no thread looks at the old one: 4 to 20 ms each time.
 */
export function reserveDescriptors(count: number): void {
  for (let room = count; room > 0; room >>= 1) {
    const fd = syscall(SYS.fcntl, 0, F_DUPFD_CLOEXEC, room - 1);
    if (fd < 0) continue;
    closeFd(fd);
    return;
  }
}

/** Handle of a process (Linux 5.3). @param flags PIDFD_NONBLOCK, PIDFD_THREAD */
export function pidfdOpen(pid: number, flags = 0): OwnedFd {
  return new OwnedFd(check(syscall(SYS.pidfd_open, pid, flags), 'pidfd_open', { pid }));
}

/** Copies descriptor `fd` of the process behind `pidfd` into this one (Linux 5.6). */
export function pidfdGetfd(pidfd: OwnedFd, fd: number, pid?: number): number {
  return check(syscall(SYS.pidfd_getfd, pidfd.fd, fd, 0), 'pidfd_getfd', {
    pid,
    object: `fd ${fd}`,
  });
}

/** A pipe, close-on-exec: [read end, write end]. */
export function makePipe(flags = O_CLOEXEC): [number, number] {
  check(syscall(SYS.pipe2, scratch.address, flags), 'pipe2');
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}

/** Asks for a pipe buffer; the kernel rounds up and caps at 1 MiB without CAP_SYS_RESOURCE. Returns bytes or -errno. */
export function setPipeSize(fd: number, bytes: number): number {
  return syscall(SYS.fcntl, fd, F_SETPIPE_SZ, bytes);
}
export function pipeSize(fd: number): number {
  return check(syscall(SYS.fcntl, fd, F_GETPIPE_SZ, 0), 'fcntl(F_GETPIPE_SZ)');
}

export const FCNTL = { F_GETFD, F_SETFD, F_GETFL, F_SETFL } as const;

export function fcntl(fd: number, command: number, argument: number | bigint = 0): number {
  return check(syscall(SYS.fcntl, fd, command, argument), 'fcntl', { object: `fd ${fd}` });
}

/** Another descriptor of this process for the same open file. */
export const duplicateHere = (fd: number): number => fcntl(fd, F_DUPFD_CLOEXEC);

/** Moves up to `length` bytes between a pipe and a file without copying; -errno on failure. */
export function splice(from: number, to: number, length: number): number {
  return syscall(SYS.splice, from, 0, to, 0, length, SPLICE_MOVE);
}

/** Copies pipe content without consuming it; 0 when empty. */
export function tee(from: number, to: number, length: number): number {
  const n = syscall(SYS.tee, from, to, length, SPLICE_NONBLOCK);
  if (n >= 0) return n;
  const error = new LinuxError('tee', -n);
  if (error.errno === 'EAGAIN') return 0;
  throw error;
}

/** kcmp(2) KCMP_FILE: do two descriptors name one open file description? */
export function sameOpenFile(pidA: number, fdA: number, pidB: number, fdB: number): boolean {
  return compareOpenFiles(pidA, fdA, pidB, fdB) === 0;
}

/** kcmp(2) KCMP_FILE as an order: 0 equal, 1 less, 2 greater. */
export function compareOpenFiles(pidA: number, fdA: number, pidB: number, fdB: number): number {
  const KCMP_FILE = 0;
  return check(syscall(SYS.kcmp, pidA, pidB, KCMP_FILE, fdA, fdB), 'kcmp', {
    pid: pidA,
    object: `fd ${fdA}`,
  });
}

/** kcmp(2) KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND */
type Table = 1 | 2 | 3 | 4;

/** kcmp(2) on whole tables: 'vm' 1, 'files' 2, 'fs' 3, 'sighand' 4. True when shared. */
export function sharesTable(pidA: number, pidB: number, what: Table): boolean {
  return syscall(SYS.kcmp, pidA, pidB, what, 0, 0) === 0;
}

/** The same as an order: 0 equal, 1 less, 2 greater. */
export function compareTables(pidA: number, pidB: number, what: Table): number {
  return check(syscall(SYS.kcmp, pidA, pidB, what, 0, 0), 'kcmp', { pid: pidA });
}

/** Size of `struct msghdr` and of a control message with room for `MAX_RIGHTS` descriptors. */
export const MSGHDR_BYTES = 56;
export const rightsBytes = (count: number): number => 16 + Math.ceil((count * 4) / 8) * 8;

/** Sends descriptors over a unix socket in one message with one byte of payload; unix(7). */
export function sendFds(socket: number, fds: readonly number[]): void {
  const { view, address } = scratch;
  const control = 256;
  view.setUint8(128, 0x2e);
  scratch.words[10] = address + 128n; // iovec at 80
  scratch.words[11] = 1n;
  scratch.words[0] = 0n;
  scratch.words[1] = 0n;
  scratch.words[2] = address + 80n;
  scratch.words[3] = 1n;
  scratch.words[4] = address + BigInt(control);
  scratch.words[5] = BigInt(rightsBytes(fds.length));
  scratch.words[6] = 0n;
  view.setBigUint64(control, BigInt(16 + fds.length * 4), true);
  view.setInt32(control + 8, SOL_SOCKET, true);
  view.setInt32(control + 12, SCM_RIGHTS, true);
  fds.forEach((fd, i) => {
    view.setInt32(control + 16 + i * 4, fd, true);
  });
  check(syscall(SYS.sendmsg, socket, address, 0), 'sendmsg(SCM_RIGHTS)');
}

/** Enters a namespace with this (single) thread; setns(2). */
export function enterNamespace(fd: number, cloneFlag: number): void {
  check(syscall(SYS.setns, fd, cloneFlag), 'setns');
}
