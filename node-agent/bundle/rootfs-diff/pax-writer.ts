// Headers of pax archives. tar-stream makes UTF-8 of everything, which breaks capabilities and odd file names.
import {
  BLOCK_BYTES,
  dataBytes,
  encodeSparseMap,
  paddedBytes,
  type TarEntry,
  TYPE_FLAGS,
  XATTR_PREFIX,
} from './tar-entry.ts';

const NAME_BYTES = 100;
const MAX_OCTAL_ID = 0o7777777;
const MAX_OCTAL_SIZE = 0o77777777777;
const MAX_OCTAL_TIME = 0o77777777777;
const NANOS = 1_000_000_000n;

/** An archive ends with two empty blocks. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES);

export interface EncodedHeader {
  /** pax records, header, and the map of a sparse file */
  readonly bytes: Buffer;
  /** bytes of file content that must follow, then padding to a block */
  readonly contentBytes: number;
}

export function encodeHeader(entry: TarEntry): EncodedHeader {
  const contentBytes = entry.ranges === undefined ? entry.sizeBytes : dataBytes(entry.ranges);
  const map =
    entry.ranges === undefined ? Buffer.alloc(0) : encodeSparseMap(entry.ranges, entry.sizeBytes);
  const storedBytes = map.length + contentBytes;
  const records = encodeRecords(entry, storedBytes);
  const parts = [ustarHeader(entry, TYPE_FLAGS[entry.type], storedBytes), map];
  if (records.length > 0) {
    const padding = Buffer.alloc(paddedBytes(records.length) - records.length);
    parts.unshift(
      ustarHeader({ ...entry, path: 'PaxHeader' }, 'x', records.length),
      records,
      padding,
    );
  }
  return { bytes: Buffer.concat(parts), contentBytes };
}

function encodeRecords(entry: TarEntry, storedBytes: number): Buffer {
  const records: Buffer[] = [];
  const add = (key: string, value: string | Buffer): unknown => records.push(record(key, value));
  const linkPath = entry.linkPath ?? '';
  if (!isUtf8(entry.path) || !isUtf8(linkPath)) {
    add('hdrcharset', 'BINARY');
  }
  if (entry.ranges !== undefined) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', Buffer.from(entry.path, 'latin1'));
    add('GNU.sparse.realsize', String(entry.sizeBytes));
  } else if (headerName(entry).length > NAME_BYTES || !isAscii(entry.path)) {
    add('path', Buffer.from(headerName(entry), 'latin1'));
  }
  if (linkPath.length > NAME_BYTES || !isAscii(linkPath)) {
    add('linkpath', Buffer.from(linkPath, 'latin1'));
  }
  const time = formatTime(entry.mtimeNanos);
  if (time !== undefined) {
    add('mtime', time);
  }
  const numbers = [
    ['uid', entry.uid, MAX_OCTAL_ID],
    ['gid', entry.gid, MAX_OCTAL_ID],
    ['size', storedBytes, MAX_OCTAL_SIZE],
  ] as const;
  for (const [key, value, limit] of numbers) {
    if (value > limit) {
      add(key, String(value));
    }
  }
  for (const [name, value] of entry.xattrs) {
    add(`${XATTR_PREFIX}${name}`, value);
  }
  return Buffer.concat(records);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const rest = key.length + bytes.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  const head = Buffer.from(`${length} ${key}=`, 'latin1');
  return Buffer.concat([head, bytes, Buffer.from('\n')]);
}

/** `seconds.nanoseconds`, undefined when the header's whole seconds say it all. */
function formatTime(nanos: bigint): string | undefined {
  const fraction = ((nanos % NANOS) + NANOS) % NANOS;
  const seconds = (nanos - fraction) / NANOS;
  if (fraction === 0n && seconds >= 0n && seconds <= BigInt(MAX_OCTAL_TIME)) {
    return undefined;
  }
  if (seconds >= 0n) {
    return `${seconds}.${String(fraction).padStart(9, '0')}`;
  }
  // A decimal number below zero counts both parts away from zero.
  const magnitude = -nanos;
  return `-${magnitude / NANOS}.${String(magnitude % NANOS).padStart(9, '0')}`;
}

const headerName = (entry: TarEntry): string =>
  entry.type === 'directory' ? `${entry.path}/` : entry.path;

function ustarHeader(entry: TarEntry, flag: string, storedBytes: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const seconds = Number(entry.mtimeNanos / NANOS);
  const isLink = flag === TYPE_FLAGS.hardlink || flag === TYPE_FLAGS.symlink;
  header.write(headerName(entry).slice(0, NAME_BYTES), 0, 'latin1');
  putOctal(header, 100, 8, entry.mode & 0o7777);
  putOctal(header, 108, 8, entry.uid > MAX_OCTAL_ID ? 0 : entry.uid);
  putOctal(header, 116, 8, entry.gid > MAX_OCTAL_ID ? 0 : entry.gid);
  putOctal(header, 124, 12, storedBytes > MAX_OCTAL_SIZE ? 0 : storedBytes);
  putOctal(header, 136, 12, seconds < 0 || seconds > MAX_OCTAL_TIME ? 0 : seconds);
  header.fill(' ', 148, 156);
  header.write(flag, 156, 'latin1');
  header.write(isLink ? (entry.linkPath ?? '').slice(0, NAME_BYTES) : '', 157, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function putOctal(header: Buffer, at: number, bytes: number, value: number): void {
  header.write(`${value.toString(8).padStart(bytes - 1, '0')}\0`, at, 'latin1');
}

const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);
const isUtf8 = (text: string): boolean => {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.equals(Buffer.from(bytes.toString('utf8')));
};
