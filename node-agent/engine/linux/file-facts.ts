// Facts of files at 1.5 us a question: statx, readlink, small proc files, and opening inside a foreign root.
import { SYS } from '../arch/x86-64.ts';
import { decodeText, encodeText } from '../image/text.ts';
import { check } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { closeFd, OwnedFd } from './descriptors.ts';

/** Open flags and modes, include/uapi/asm-generic/fcntl.h. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  ACCMODE: 3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  ASYNC: 0o20000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  TMPFILE: 0o20000000,
} as const;

export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o60000,
  IFDIR: 0o40000,
  IFCHR: 0o20000,
  IFIFO: 0o10000,
} as const;

export interface FileTime {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** What statx(2) tells; device numbers as `major << 20 | minor`, the kernel's own form. */
export interface FileStat {
  readonly dev: number;
  readonly ino: bigint;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  /** bytes on disk */
  readonly allocated: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly accessed: FileTime;
  readonly modified: FileTime;
}

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BYTES = 256;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_IN_ROOT = 0x10;
const LINK_BYTES = 8192;

const statArea = allocate(4096);
const pathArea = allocate(8192);
const textArea = allocate(65536);

/** Puts a NUL-terminated path where the kernel can read it. */
const pathAddress = (path: string): bigint => bytesAddress(encodeText(path));

function bytesAddress(bytes: Uint8Array): bigint {
  if (bytes.length + 1 > pathArea.length) throw new Error(`path of ${bytes.length} bytes`);
  pathArea.bytes.set(bytes);
  pathArea.bytes[bytes.length] = 0;
  return pathArea.address;
}

/** @param at where a `struct statx` begins */
export function parseStat(view: DataView, at: number): FileStat {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  const long = (offset: number): bigint => view.getBigUint64(at + offset, true);
  const time = (offset: number): FileTime => ({
    seconds: view.getBigInt64(at + offset, true),
    nanos: word(offset + 8),
  });
  return {
    dev: ((word(136) << 20) | word(140)) >>> 0,
    ino: long(32),
    mode: view.getUint16(at + 28, true),
    links: word(16),
    uid: word(20),
    gid: word(24),
    size: long(40),
    allocated: long(48) * 512n,
    rdevMajor: word(128),
    rdevMinor: word(132),
    accessed: time(64),
    modified: time(112),
  };
}

const readStat = (): FileStat => parseStat(statArea.view, 0);

/** statx(2) of a path, links followed. @throws LinuxError */
export function statPath(path: string, dirfd = AT_FDCWD): FileStat {
  const args = [dirfd, pathAddress(path), 0, STATX_BASIC_STATS, statArea.address] as const;
  check(syscall(SYS.statx, ...args), 'statx', { object: path });
  return readStat();
}

/** statx(2) of an open file, also one opened with O_PATH. */
export function statFd(fd: number): FileStat {
  const args = [fd, pathAddress(''), AT_EMPTY_PATH, STATX_BASIC_STATS, statArea.address] as const;
  check(syscall(SYS.statx, ...args), 'statx', { object: `fd ${fd}` });
  return readStat();
}

/** readlink(2). @throws LinuxError */
export function readLink(path: string, dirfd = AT_FDCWD): string {
  const args = [dirfd, pathAddress(path), textArea.address, LINK_BYTES] as const;
  const length = check(syscall(SYS.readlinkat, ...args), 'readlink', { object: path });
  return decodeText(textArea.bytes.subarray(0, length));
}

/** open(2), close-on-exec. @throws LinuxError */
export function openPath(path: string, flags: number, dirfd = AT_FDCWD, mode = 0): number {
  const args = [dirfd, pathAddress(path), flags | O.CLOEXEC, mode] as const;
  return check(syscall(SYS.openat, ...args), 'open', { object: path });
}

/** open(2), close-on-exec. @returns descriptor, or -errno */
export function tryOpenPath(path: string, flags: number): number {
  return syscall(SYS.openat, AT_FDCWD, pathAddress(path), flags | O.CLOEXEC, 0);
}

/** syncfs(2) of the file system that an open file is on. @throws LinuxError EIO, ENOSPC, EDQUOT of anything written to it */
export function syncFileSystem(fd: number, path: string): void {
  check(syscall(SYS.syncfs, fd), 'syncfs', { object: path });
}

/**
 * mknod(2).
 *
 * @param device `major << 20 | minor`, the kernel's own form; the call takes an older one
 */
export function makeNode(path: Uint8Array, mode: number, device: number): void {
  const [major, minor] = [device >>> 20, device & 0xfffff];
  const encoded = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
  const args = [AT_FDCWD, bytesAddress(path), mode, encoded] as const;
  check(syscall(SYS.mknodat, ...args), 'mknod', { object: decodeText(path) });
}

/** Whole content of a proc file as Latin-1. */
export function readWhole(path: string, dirfd: number): string {
  const fd = openPath(path, O.RDONLY, dirfd);
  try {
    let text = '';
    for (;;) {
      const length = syscall(SYS.read, fd, textArea.address, textArea.length);
      if (length <= 0) return text;
      text += textArea.bytes.toString('latin1', 0, length);
    }
  } finally {
    closeFd(fd);
  }
}

/**
 * Opens a path below `root` as a process with that root would: absolute and dotted symbolic links stay inside
 * (openat2(2), Linux 5.6). The path comes from an application or a bundle, so it must never lead out.
 *
 * @returns descriptor, or -errno
 */
export function openBelow(root: OwnedFd, path: string, flags: number): number {
  const how = statArea;
  // Unlike open(2), this call refuses what it would ignore.
  const known = flags & O.PATH ? flags & (O.PATH | O.DIRECTORY | O.NOFOLLOW) : flags;
  how.words[0] = BigInt(known | O.CLOEXEC);
  how.words[1] = 0n;
  how.words[2] = BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  return syscall(SYS.openat2, root.fd, pathAddress(path), how.address, 24);
}

/** Facts of the file at a path below `root`, undefined when there is none. A last symbolic link is not followed. */
export function statBelow(root: OwnedFd, path: string): FileStat | undefined {
  const fd = openBelow(root, path, O.PATH | O.NOFOLLOW);
  if (fd < 0) return undefined;
  try {
    return statFd(fd);
  } finally {
    closeFd(fd);
  }
}
