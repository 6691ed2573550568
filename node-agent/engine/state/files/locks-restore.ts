// Takes file locks again, when nothing closes a descriptor any more: that would end POSIX locks.
import { SYS } from '../../arch/x86-64.ts';
import { refusal, RefusedError } from '../../finding.ts';
import { LockKind } from '../../image/messages/enums.ts';
import type { FileLockEntry } from '../../image/messages/files.ts';
import { closeFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { O, tryOpenPath } from '../../linux/file-facts.ts';
import { OWNER_COMMAND } from '../../linux/file-owner.ts';
import type { RemoteWord } from '../../tracee/remote-word.ts';
import type { FileOpening, WantedDescriptor } from './file-opening.ts';
import { LOCK_TYPE } from './locks.ts';

const F_SETLK = 6;
const F_OFD_SETLK = 37;
const F_SETLEASE = 1024;
const LOCK_SH_NB = 1 | 4;
const LOCK_EX_NB = 2 | 4;
/** struct flock */
const FLOCK_BYTES = 32;

/** @throws RefusedError FileLockTaken when somebody else holds one; nothing of the tree runs yet */
export function restoreLocks(opening: FileOpening): void {
  for (const lock of opening.saved.locks()) {
    const at = opening.descriptor(lock.pid, lock.fd);
    if (!at) throw new Error(`process ${lock.pid} locks descriptor ${lock.fd} that it has not`);
    if (lock.flag === LockKind.LEASE) restoreLease(lock, at, opening);
    else takeLock(lock, at);
  }
}

type Held = WantedDescriptor & { readonly id: number };

function takeLock(lock: FileLockEntry, { builder, fd }: Held): void {
  builder.makeRoom(1, FLOCK_BYTES + 16);
  const { batch } = builder;
  const write = lock.type === LOCK_TYPE.WRITE;
  const command = lock.flag === LockKind.OFD ? F_OFD_SETLK : F_SETLK;
  const call: [number, ...RemoteWord[]] =
    lock.flag === LockKind.FLOCK
      ? [SYS.flock, fd, write ? LOCK_EX_NB : LOCK_SH_NB]
      : [SYS.fcntl, fd, command, batch.bytes(flockBytes(lock))];
  const result = batch.call(...call);
  builder.flush();
  if (result.number < 0) throw refused(lock, result.number);
}

function flockBytes({ type, start, len }: FileLockEntry): Buffer {
  const bytes = Buffer.alloc(FLOCK_BYTES);
  bytes.writeInt16LE(type, 0);
  bytes.writeBigInt64LE(start, 8);
  bytes.writeBigInt64LE(len, 16);
  return bytes;
}

/**
 * Through the very descriptor: its number comes with the signal of the break. A lease that somebody waited for is broken
 * again, by an opening of the engine's, while nobody owns the signal: the application has had it already.
 */
function restoreLease(lock: FileLockEntry, { builder, fd, id }: Held, opening: FileOpening): void {
  const breaking = (lock.type & LOCK_TYPE.BREAKING) !== 0;
  const target = lock.type & ~LOCK_TYPE.BREAKING;
  const type = breaking ? leaseBefore(target, opening.flagsOf(id)) : target;
  builder.makeRoom(2, 0);
  const { batch } = builder;
  const result = batch.call(SYS.fcntl, fd, F_SETLEASE, type);
  if (breaking) batch.call(SYS.fcntl, fd, OWNER_COMMAND.F_SETOWN, 0);
  builder.flush();
  if (result.number < 0) throw refused(lock, result.number);
  if (!breaking) return;
  const how = target === LOCK_TYPE.READ ? O.RDONLY : O.WRONLY;
  const opened = tryOpenPath(`/proc/self/fd/${opening.engineFd(id)}`, how | O.NONBLOCK);
  if (opened >= 0) closeFd(opened);
}

/** What it was that shall become this; the kernel tells only the latter. */
const leaseBefore = (target: number, flags: number): number =>
  target === LOCK_TYPE.READ || (flags & O.ACCMODE) !== O.RDONLY ? LOCK_TYPE.WRITE : LOCK_TYPE.READ;

function refused({ pid, fd }: FileLockEntry, result: number): RefusedError {
  const { errno } = new LinuxError('fcntl', -result);
  const advice = `the lock that the saved program held is somebody else's here (${errno}): end who holds it, or restore a copy of the file`;
  return new RefusedError([refusal('FileLockTaken', pid, `lock of descriptor ${fd}`, advice)]);
}
