// Reads the headers of a pax archive that lies in a regular file, without touching the content between them.
// Whatever is not plain and unambiguous is refused: the archive may come from anywhere.
import { fstatSync, readSync } from 'node:fs';
import { TaskFailure } from '../../task-failure.ts';
import {
  BLOCK_BYTES,
  dataBytes,
  MAX_PATH_BYTES,
  paddedBytes,
  type SparseRange,
  type TarEntry,
  type TarEntryType,
  TYPE_FLAGS,
  XATTR_PREFIX,
} from './tar-entry.ts';

const MAX_RECORDS_BYTES = 4 << 20;
const MAX_MAP_BYTES = 32 << 20;
const NANOS = 1_000_000_000n;

export interface LocatedEntry {
  readonly entry: TarEntry;
  /** where the file's content begins in the archive */
  readonly contentOffset: number;
}

const TYPES: ReadonlyMap<string, TarEntryType> = new Map([
  ...Object.entries(TYPE_FLAGS).map(([type, flag]) => [flag, type as TarEntryType] as const),
  ['\0', 'file'],
]);

/** @throws TaskFailure BundleInvalid with the place of what is wrong */
export function* readEntries(fd: number): Generator<LocatedEntry> {
  const archiveBytes = fstatSync(fd).size;
  let records = new Map<string, Buffer>();
  for (let at = 0; at < archiveBytes; ) {
    const header = readExactly(fd, at, BLOCK_BYTES);
    if (header.every((byte) => byte === 0)) {
      return;
    }
    checkSum(header, at);
    const flag = header.toString('latin1', 156, 157);
    const storedBytes = sizeOf(header, records, flag);
    const contentAt = at + BLOCK_BYTES;
    at = contentAt + paddedBytes(storedBytes);
    if (at > archiveBytes) {
      throw invalid(`the entry at byte ${contentAt - BLOCK_BYTES} reaches beyond the archive`);
    }
    if (flag === 'x') {
      records = parseRecords(readLimited(fd, contentAt, storedBytes, MAX_RECORDS_BYTES));
    } else {
      yield locate(fd, header, records, { flag, contentAt, storedBytes });
      records = new Map();
    }
  }
}

interface Place {
  readonly flag: string;
  readonly contentAt: number;
  readonly storedBytes: number;
}

function locate(
  fd: number,
  header: Buffer,
  records: ReadonlyMap<string, Buffer>,
  { flag, contentAt, storedBytes }: Place,
): LocatedEntry {
  const text: Records = (key) => records.get(key)?.toString('latin1');
  const type = TYPES.get(flag);
  const path = entryPath(text('GNU.sparse.name') ?? text('path') ?? headerName(header));
  if (type === undefined) {
    throw invalid(`${path} has the type ${JSON.stringify(flag)}, which no rootfs difference has`);
  }
  const sparse = records.has('GNU.sparse.major')
    ? readSparse(fd, contentAt, storedBytes, text)
    : undefined;
  if (type !== 'file' && (storedBytes !== 0 || sparse !== undefined)) {
    throw invalid(`${path} is no file but has content`);
  }
  const entry: TarEntry = {
    path,
    type,
    ...attributes(header, text),
    sizeBytes: sparse?.sizeBytes ?? storedBytes,
    xattrs: xattrsOf(records),
    ...linkOf(type, text('linkpath') ?? cString(header, 157, 100)),
    ...(sparse === undefined ? {} : { ranges: sparse.ranges }),
  };
  return { entry, contentOffset: contentAt + (sparse?.mapBytes ?? 0) };
}

type Records = (key: string) => string | undefined;

function attributes(
  header: Buffer,
  text: Records,
): Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtimeNanos'> {
  return {
    mode: octal(header, 100, 8) & 0o7777,
    uid: decimal(text('uid')) ?? octal(header, 108, 8),
    gid: decimal(text('gid')) ?? octal(header, 116, 8),
    mtimeNanos: parseTime(text('mtime')) ?? BigInt(octal(header, 136, 12)) * NANOS,
  };
}

/** A symbolic link may say anything: it is resolved inside the container. A hard link is a path of the archive. */
function linkOf(type: TarEntryType, target: string): Pick<TarEntry, 'linkPath'> {
  if (type === 'symlink') {
    return { linkPath: target };
  }
  return type === 'hardlink' ? { linkPath: entryPath(target) } : {};
}

interface Sparse {
  readonly ranges: SparseRange[];
  readonly sizeBytes: number;
  readonly mapBytes: number;
}

function readSparse(fd: number, contentAt: number, storedBytes: number, text: Records): Sparse {
  const sizeBytes = decimal(text('GNU.sparse.realsize'));
  if (
    text('GNU.sparse.major') !== '1' ||
    text('GNU.sparse.minor') !== '0' ||
    sizeBytes === undefined
  ) {
    throw invalid('a sparse file is not in format 1.0');
  }
  const numbers: number[] = [];
  let rest = '';
  let mapBytes = 0;
  // The first number says how many pairs follow.
  while (numbers.length === 0 || numbers.length < 1 + 2 * (numbers[0] as number)) {
    if (mapBytes >= Math.min(storedBytes, MAX_MAP_BYTES)) {
      throw invalid('the map of a sparse file is cut short');
    }
    rest += readExactly(fd, contentAt + mapBytes, BLOCK_BYTES).toString('latin1');
    mapBytes += BLOCK_BYTES;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    const missing = numbers.length === 0 ? lines.length : 1 + 2 * (numbers[0] as number);
    numbers.push(...lines.slice(0, missing).map((line) => decimal(line) ?? Number.NaN));
  }
  const pairs = numbers.slice(1, 1 + 2 * (numbers[0] as number));
  return { ranges: checkRanges(pairs, sizeBytes, storedBytes - mapBytes), sizeBytes, mapBytes };
}

function checkRanges(
  pairs: readonly number[],
  sizeBytes: number,
  contentBytes: number,
): SparseRange[] {
  const ranges: SparseRange[] = [];
  let end = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const offset = pairs[i] as number;
    const length = pairs[i + 1] as number;
    if (!(offset >= end && length >= 0 && offset + length <= sizeBytes)) {
      throw invalid('the map of a sparse file makes no sense');
    }
    end = offset + length;
    if (length > 0) {
      ranges.push({ offset, length });
    }
  }
  if (dataBytes(ranges) !== contentBytes) {
    throw invalid('the map of a sparse file does not fit its content');
  }
  return ranges;
}

/** A relative path of plain components; a slash at the end and `./` at the start are habits of tar. */
function entryPath(text: string): string {
  const path = text.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
  const plain = path
    .split('/')
    .every((component) => component !== '' && component !== '.' && component !== '..');
  if (!plain || path.includes('\0') || path.length > MAX_PATH_BYTES) {
    throw invalid(`${JSON.stringify(text.slice(0, 200))} is not a path below the root`);
  }
  return path;
}

function parseRecords(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(' ', at);
    const length = decimal(bytes.toString('latin1', at, space < 0 ? at : space)) ?? 0;
    const end = at + length;
    const equals = bytes.indexOf('=', space);
    if (space < 0 || equals < 0 || end > bytes.length || equals >= end || bytes[end - 1] !== 0x0a) {
      throw invalid('an extended header is damaged');
    }
    records.set(
      bytes.toString('latin1', space + 1, equals),
      Buffer.from(bytes.subarray(equals + 1, end - 1)),
    );
    at = end;
  }
  return records;
}

function xattrsOf(records: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  return new Map(
    [...records]
      .filter(([key]) => key.startsWith(XATTR_PREFIX))
      .map(([key, value]) => [key.slice(XATTR_PREFIX.length), value]),
  );
}

function sizeOf(header: Buffer, records: ReadonlyMap<string, Buffer>, flag: string): number {
  const given = flag === 'x' ? undefined : decimal(records.get('size')?.toString('latin1'));
  return given ?? octal(header, 124, 12);
}

function headerName(header: Buffer): string {
  const prefix = cString(header, 345, 155);
  const name = cString(header, 0, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function cString(header: Buffer, at: number, bytes: number): string {
  const text = header.toString('latin1', at, at + bytes);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function octal(header: Buffer, at: number, bytes: number): number {
  const text = cString(header, at, bytes).trim();
  if (!/^[0-7]*$/.test(text)) {
    throw invalid(`${JSON.stringify(text)} in a header is not an octal number`);
  }
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function decimal(text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
    throw invalid(`${JSON.stringify(text.slice(0, 40))} in an extended header is not a number`);
  }
  return value;
}

function parseTime(text: string | undefined): bigint | undefined {
  if (text === undefined) {
    return undefined;
  }
  const match = /^(-?)(\d{1,18})(?:\.(\d{1,20}))?$/.exec(text);
  if (match === null) {
    throw invalid(`${JSON.stringify(text.slice(0, 40))} in an extended header is not a time`);
  }
  const [, sign, seconds, fraction = ''] = match;
  const magnitude = BigInt(seconds as string) * NANOS + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -magnitude : magnitude;
}

function checkSum(header: Buffer, at: number): void {
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  if (sum !== octal(header, 148, 8)) {
    throw invalid(`the header at byte ${at} is damaged`);
  }
}

function readLimited(fd: number, at: number, bytes: number, limit: number): Buffer {
  if (bytes > limit) {
    throw invalid(`an extended header has ${bytes} bytes`);
  }
  return readExactly(fd, at, bytes);
}

function readExactly(fd: number, at: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let done = 0; done < bytes; ) {
    const got = readSync(fd, buffer, done, bytes - done, at + done);
    if (got === 0) {
      throw invalid('the archive is cut short');
    }
    done += got;
  }
  return buffer;
}

function invalid(what: string): TaskFailure {
  return new TaskFailure('BundleInvalid', `rootfs-diff.tar: ${what}`);
}
