// Where a file has data and where holes: lseek(2) with SEEK_DATA and SEEK_HOLE.
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { syscall } from './ffi.ts';

/** Bytes from `start` up to `end`, exclusive. */
export interface Extent {
  readonly start: bigint;
  readonly end: bigint;
}

const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Above this a file is a sieve, and its holes are cheaper read than listed. */
const MAX_EXTENTS = 65_536;

/** Runs of data in a file, ascending. The position of the descriptor is changed. */
export function dataExtents(fd: number, size: bigint): Extent[] {
  const extents: Extent[] = [];
  for (let at = 0n; at < size; ) {
    const start = syscall(SYS.lseek, fd, at, SEEK_DATA);
    if (start < 0) {
      const error = new LinuxError('lseek(SEEK_DATA)', -start, { object: `fd ${fd}` });
      if (error.errno === 'ENXIO') break;
      if (error.errno === 'EINVAL') return [{ start: 0n, end: size }];
      throw error;
    }
    const hole = BigInt(check(syscall(SYS.lseek, fd, start, SEEK_HOLE), 'lseek(SEEK_HOLE)'));
    const end = hole < size ? hole : size;
    if (extents.length === MAX_EXTENTS) return [...extents, { start: BigInt(start), end: size }];
    extents.push({ start: BigInt(start), end });
    at = hole;
  }
  return extents;
}

/** lseek(SEEK_SET). */
export function seekTo(fd: number, position: bigint): void {
  check(syscall(SYS.lseek, fd, position, SEEK_SET), 'lseek', { object: `fd ${fd}` });
}
