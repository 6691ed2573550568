// File system calls that Node lacks. Only the worker process loads this: it brings native code with it.
// Paths are "latin1" strings: one character a byte, since names of files need not be UTF-8.
import { closeSync, openSync } from 'node:fs';
import { FILE_SYS } from '../../engine/arch/x86-64-files.ts';
import { check, LinuxError } from '../../engine/linux/error.ts';
import { allocate, type NativeMemory, syscall } from '../../engine/linux/ffi.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const S_IFIFO = 0o010000;
const O_CLOEXEC = 0x80000;
/** A handle for path lookups only; Node's constants lack it. */
export const O_PATH = 0o10000000;
const PATH_BYTES = 4096;
const XATTR_BYTES = 65536;

const pathMemory = allocate(PATH_BYTES);
const nameMemory = allocate(PATH_BYTES);
const valueMemory = allocate(XATTR_BYTES);

/** Puts a zero-terminated string where the kernel can read it. */
function put(memory: NativeMemory, text: string): bigint {
  if (text.length >= memory.length) {
    throw new LinuxError('path', 36, { object: text.slice(0, 80) });
  }
  memory.bytes.write(text, 'latin1');
  memory.view.setUint8(text.length, 0);
  return memory.address;
}

// openat2(2): no component may be a link, lead upwards or lie on another mount.
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const CONFINED = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
const OPEN_HOW_BYTES = 24;

/**
 * Opens `path` below the directory `dirFd` without following any link and without leaving its mount.
 *
 * @param path relative; empty for the directory itself
 * @throws LinuxError ELOOP for a link, EXDEV for another mount or a way out, ENOENT, ENOTDIR
 */
export function openConfined(dirFd: number, path: string, flags: number, mode = 0): number {
  const how = nameMemory.words;
  how[0] = BigInt(flags | O_CLOEXEC);
  how[1] = BigInt(mode);
  how[2] = BigInt(CONFINED);
  const address = put(pathMemory, path === '' ? '.' : path);
  const fd = syscall(FILE_SYS.openat2, dirFd, address, nameMemory.address, OPEN_HOW_BYTES);
  return check(fd, 'openat2', { object: path });
}

const ENODATA = 61;
const EOPNOTSUPP = 95;

/** Names of all extended attributes; none where the file system knows none. llistxattr(2) */
export function listXattrs(path: string): string[] {
  const address = put(pathMemory, path);
  const bytes = syscall(FILE_SYS.llistxattr, address, valueMemory.address, XATTR_BYTES);
  if (bytes === -EOPNOTSUPP) {
    return [];
  }
  check(bytes, 'llistxattr', { object: path });
  return valueMemory.bytes.toString('latin1', 0, bytes).split('\0').filter(Boolean);
}

/** Value of an attribute, undefined when there is none. lgetxattr(2) */
export function getXattr(path: string, name: string): Buffer | undefined {
  const bytes = syscall(
    FILE_SYS.lgetxattr,
    put(pathMemory, path),
    put(nameMemory, name),
    valueMemory.address,
    XATTR_BYTES,
  );
  if (bytes === -ENODATA || bytes === -EOPNOTSUPP) {
    return undefined;
  }
  check(bytes, 'lgetxattr', { object: `${path} ${name}` });
  return Buffer.from(valueMemory.bytes.subarray(0, bytes));
}

export function setXattr(path: string, name: string, value: Uint8Array): void {
  valueMemory.bytes.set(value);
  const result = syscall(
    FILE_SYS.lsetxattr,
    put(pathMemory, path),
    put(nameMemory, name),
    valueMemory.address,
    value.length,
    0,
  );
  check(result, 'lsetxattr', { object: `${path} ${name}` });
}

export function removeXattr(path: string, name: string): void {
  const result = syscall(FILE_SYS.lremovexattr, put(pathMemory, path), put(nameMemory, name));
  check(result, 'lremovexattr', { object: `${path} ${name}` });
}

export function makeFifo(path: string, mode: number): void {
  const result = syscall(FILE_SYS.mknodat, AT_FDCWD, put(pathMemory, path), S_IFIFO | mode, 0);
  check(result, 'mknodat', { object: path });
}

const NANOS = 1_000_000_000n;

/** Sets access and modification time, nanoseconds since 1970, of the very name: links are not followed. */
export function setTimes(path: string, timeNanos: bigint): void {
  const times = nameMemory.view;
  // A time before 1970 has negative seconds and positive nanoseconds.
  const nanos = ((timeNanos % NANOS) + NANOS) % NANOS;
  for (const offset of [0, 16]) {
    times.setBigInt64(offset, (timeNanos - nanos) / NANOS, true);
    times.setBigInt64(offset + 8, nanos, true);
  }
  const address = put(pathMemory, path);
  const result = syscall(
    FILE_SYS.utimensat,
    AT_FDCWD,
    address,
    nameMemory.address,
    AT_SYMLINK_NOFOLLOW,
  );
  check(result, 'utimensat', { object: path });
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const MAX_RANGES = 1_000_000;

export interface DataRange {
  readonly offset: number;
  readonly length: number;
}

/** Where a file has data; the rest are holes. One range for file systems that know no holes. lseek(2) */
export function dataRanges(fd: number, sizeBytes: number): DataRange[] {
  const ranges: DataRange[] = [];
  for (let at = 0; at < sizeBytes && ranges.length < MAX_RANGES; ) {
    const start = syscall(FILE_SYS.lseek, fd, at, SEEK_DATA);
    if (start === -ENXIO) {
      return ranges;
    }
    if (start < 0) {
      return [{ offset: 0, length: sizeBytes }];
    }
    const end = Math.min(check(syscall(FILE_SYS.lseek, fd, start, SEEK_HOLE), 'lseek'), sizeBytes);
    if (end > start) {
      ranges.push({ offset: start, length: end - start });
    }
    at = Math.max(end, start + 1);
  }
  return ranges;
}

const CLONE_FS = 0x200;
const CLONE_NEWNS = 0x20000;
const OPEN_TREE_CLONE = 1;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_BYTES = 32;

/**
 * A mount of another mount namespace, detached and by itself: nothing that is mounted on it shows, so a walk inside
 * cannot stray into other volumes, and what they hide can be seen. open_tree(2), Linux 5.2.
 *
 * This thread enters the namespace for the moment of two system calls. Everything else in this process must be
 * synchronous: other threads of Node stay where they are.
 *
 * @param namespacePath `ns/mnt` of a process
 * @param mountPoint absolute; none of its components may be a link
 * @param writable also when the container's own mount is mounted read-only; mount_setattr(2), Linux 5.12
 */
export function cloneMount(namespacePath: string, mountPoint: string, writable: boolean): number {
  const own = openSync('/proc/thread-self/ns/mnt', 'r');
  const target = openSync(namespacePath, 'r');
  try {
    // setns(2) to a mount namespace wants file system attributes that no other thread shares.
    check(syscall(FILE_SYS.unshare, CLONE_FS), 'unshare(CLONE_FS)');
    check(syscall(FILE_SYS.setns, target, CLONE_NEWNS), 'setns', { object: namespacePath });
    const tree = openTree(mountPoint);
    check(syscall(FILE_SYS.setns, own, CLONE_NEWNS), 'setns', { object: 'own namespace' });
    check(tree, 'open_tree', { object: `${namespacePath} ${mountPoint}` });
    if (writable) {
      clearReadOnly(tree);
    }
    return tree;
  } finally {
    closeSync(own);
    closeSync(target);
  }
}

/** @returns a descriptor, or the negative error: this thread is away from home and must not throw */
function openTree(mountPoint: string): number {
  const how = nameMemory.words;
  how[0] = BigInt(O_PATH | O_CLOEXEC);
  how[1] = 0n;
  how[2] = BigInt(RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
  const address = put(pathMemory, mountPoint);
  const fd = syscall(FILE_SYS.openat2, AT_FDCWD, address, nameMemory.address, OPEN_HOW_BYTES);
  if (fd < 0) {
    return fd;
  }
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH;
  const tree = syscall(FILE_SYS.open_tree, fd, put(pathMemory, ''), flags);
  closeSync(fd);
  return tree;
}

function clearReadOnly(tree: number): void {
  const attributes = nameMemory.words;
  attributes.fill(0n, 0, MOUNT_ATTR_BYTES / 8);
  attributes[1] = BigInt(MOUNT_ATTR_RDONLY);
  const result = syscall(
    FILE_SYS.mount_setattr,
    tree,
    put(pathMemory, ''),
    AT_EMPTY_PATH,
    nameMemory.address,
    MOUNT_ATTR_BYTES,
  );
  check(result, 'mount_setattr');
}
