// Acting for a moment in the mount namespace of another process; setns(2) moves this one thread only.
import { SYS } from '../arch/x86-64.ts';
import { closeFd, enterNamespace, OwnedFd } from './descriptors.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { O, openPath } from './file-facts.ts';

const CLONE_FS = 0x200;
const CLONE_NEWNS = 0x20000;

/** The path `.` */
const here = allocate(1);
here.bytes[0] = 0x2e;

/**
 * Runs `action` with the root of a process's mount namespace as root and working directory. From the first call on this
 * thread has a root and working directory of its own, apart from other threads: setns(2) demands it.
 */
export function inMountsOf<T>(pid: number, action: () => T): T {
  check(syscall(SYS.unshare, CLONE_FS), 'unshare(CLONE_FS)');
  using own = new OwnedFd(openPath('/proc/thread-self/ns/mnt', O.RDONLY));
  using root = new OwnedFd(openPath('/', O.PATH | O.DIRECTORY));
  using directory = new OwnedFd(openPath('.', O.PATH | O.DIRECTORY));
  const target = openPath(`/proc/${pid}/ns/mnt`, O.RDONLY);
  try {
    enterNamespace(target, CLONE_NEWNS);
  } finally {
    closeFd(target);
  }
  try {
    return action();
  } finally {
    enterNamespace(own.fd, CLONE_NEWNS);
    check(syscall(SYS.fchdir, root.fd), 'fchdir');
    check(syscall(SYS.chroot, here.address), 'chroot');
    check(syscall(SYS.fchdir, directory.fd), 'fchdir');
  }
}

/** chdir(2) of this thread, inside of {@link inMountsOf}. */
export function changeDirectory(path: string): void {
  using directory = new OwnedFd(openPath(path, O.PATH | O.DIRECTORY));
  check(syscall(SYS.fchdir, directory.fd), 'fchdir', { object: path });
}
