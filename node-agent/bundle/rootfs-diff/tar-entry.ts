// One entry of a rootfs difference, as written to and read from a pax archive (POSIX.1-2001, with GNU's sparse
// format 1.0 and the SCHILY.xattr records that every tar understands).
// Paths and attribute names are "latin1" strings: one character a byte.

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo';

export interface SparseRange {
  readonly offset: number;
  readonly length: number;
}

export interface TarEntry {
  /** relative, without `.` and `..`, no slash at the end */
  readonly path: string;
  readonly type: TarEntryType;
  /** permission bits, set-id and sticky bits included */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** nanoseconds since 1970 */
  readonly mtimeNanos: bigint;
  /** apparent size of a file; 0 for everything else */
  readonly sizeBytes: number;
  /** target of a link; for hard links a path like `path` */
  readonly linkPath?: string;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** where a file has data, ascending; absent: everywhere */
  readonly ranges?: readonly SparseRange[];
}

export const BLOCK_BYTES = 512;
export const TYPE_FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  directory: '5',
  fifo: '6',
};

export const XATTR_PREFIX = 'SCHILY.xattr.';
export const MAX_PATH_BYTES = 4096;

export const paddedBytes = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

/** GNU sparse map 1.0: decimal count, then offset and length of each range, a line each, padded to a block. */
export function encodeSparseMap(ranges: readonly SparseRange[], sizeBytes: number): Buffer {
  const last = ranges.at(-1);
  // A hole at the end is told by an empty range where the file ends.
  const closed =
    last !== undefined && last.offset + last.length === sizeBytes
      ? ranges
      : [...ranges, { offset: sizeBytes, length: 0 }];
  const numbers = closed.flatMap(({ offset, length }) => [offset, length]);
  const text = `${[closed.length, ...numbers].join('\n')}\n`;
  const map = Buffer.alloc(paddedBytes(text.length));
  map.write(text, 'latin1');
  return map;
}

export const dataBytes = (ranges: readonly SparseRange[]): number =>
  ranges.reduce((sum, range) => sum + range.length, 0);
