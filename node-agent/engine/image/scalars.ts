// The scalar types of proto2 as values. 32-bit integers are numbers; 64-bit integers are exact bigints.
import { type Reader, util, type Writer } from 'protobufjs/minimal.js';
import { FieldFault } from './image-error.ts';
import { decodeText, encodeText } from './text.ts';

/** Wire types of protobuf that CRIU uses. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
export type WireType = (typeof WIRE)[keyof typeof WIRE];

/** How a value of one field stands in the bytes, both ways. */
export interface FieldType<T> {
  /** protobuf's name of the type */
  readonly name: string;
  readonly wireType: WireType;
  /** @param depth  how many messages are open around this value */
  read(reader: Reader, depth: number): T;
  /** @throws FieldFault when the value does not fit */
  write(writer: Writer, value: T): void;
}

function fault(value: unknown, expected: string): FieldFault {
  const shown = typeof value === 'bigint' ? `${value}n` : String(value);
  return new FieldFault(`${shown} (${typeof value}) is not ${expected}`, []);
}

function integer32(value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw fault(value, `an integer from ${min} to ${max}`);
}

function integer64(value: bigint, min: bigint, max: bigint): bigint {
  if (typeof value === 'bigint' && value >= min && value <= max) return value;
  throw fault(value, `a bigint from ${min} to ${max}`);
}

const MAX_U32 = 0xffff_ffff;
const MIN_I32 = -0x8000_0000;
const MAX_I32 = 0x7fff_ffff;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;
const MIN_I64 = -0x8000_0000_0000_0000n;
const MAX_I64 = 0x7fff_ffff_ffff_ffffn;
const WORD = 0xffff_ffffn;

/** The two words of a Long. The library's own conversions to a number would lose bits above 2^53. */
interface Words {
  readonly low: number;
  readonly high: number;
}

function toUnsigned({ low, high }: Words): bigint {
  return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function toSigned(words: Words): bigint {
  return BigInt.asIntN(64, toUnsigned(words));
}

function toLong(value: bigint) {
  return new util.LongBits(Number(value & WORD), Number((value >> 32n) & WORD)).toLong(true);
}

export const u32: FieldType<number> = {
  name: 'uint32',
  wireType: WIRE.varint,
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(integer32(value, 0, MAX_U32)),
};

export const i32: FieldType<number> = {
  name: 'int32',
  wireType: WIRE.varint,
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int32(integer32(value, MIN_I32, MAX_I32)),
};

/** An enumeration, as the number that stands for it: values unknown to this version survive. */
export const enumeration: FieldType<number> = { ...i32, name: 'enum' };

/** Zigzag. */
export const sint32: FieldType<number> = {
  name: 'sint32',
  wireType: WIRE.varint,
  read: (reader) => reader.sint32(),
  write: (writer, value) => writer.sint32(integer32(value, MIN_I32, MAX_I32)),
};

export const fixed32: FieldType<number> = {
  name: 'fixed32',
  wireType: WIRE.fixed32,
  read: (reader) => reader.fixed32(),
  write: (writer, value) => writer.fixed32(integer32(value, 0, MAX_U32)),
};

/** A varint of one byte, as most are; the library makes a Long of it. */
function readSmall(reader: Reader): bigint | undefined {
  const byte = reader.pos < reader.len ? reader.buf[reader.pos] : undefined;
  if (byte === undefined || byte >= 0x80) return undefined;
  reader.pos += 1;
  return BigInt(byte);
}

export const u64: FieldType<bigint> = {
  name: 'uint64',
  wireType: WIRE.varint,
  read: (reader) => readSmall(reader) ?? toUnsigned(reader.uint64()),
  write(writer, value) {
    // a varint of few bits is the same in 32 and 64 bits, and most values are small
    if (integer64(value, 0n, MAX_U64) <= WORD) writer.uint32(Number(value));
    else writer.uint64(toLong(value));
  },
};

export const i64: FieldType<bigint> = {
  name: 'int64',
  wireType: WIRE.varint,
  read: (reader) => readSmall(reader) ?? toSigned(reader.int64()),
  write: (writer, value) => writer.uint64(toLong(integer64(value, MIN_I64, MAX_I64))),
};

/** Zigzag. */
export const sint64: FieldType<bigint> = {
  name: 'sint64',
  wireType: WIRE.varint,
  read: (reader) => toSigned(reader.sint64()),
  write: (writer, value) => writer.sint64(toLong(integer64(value, MIN_I64, MAX_I64))),
};

export const fixed64: FieldType<bigint> = {
  name: 'fixed64',
  wireType: WIRE.fixed64,
  read: (reader) => toUnsigned(reader.fixed64()),
  write: (writer, value) => writer.fixed64(toLong(integer64(value, 0n, MAX_U64))),
};

export const bool: FieldType<boolean> = {
  name: 'bool',
  wireType: WIRE.varint,
  read: (reader) => reader.bool(),
  write(writer, value) {
    if (typeof value !== 'boolean') throw fault(value, 'a boolean');
    writer.bool(value);
  },
};

/** Text of any bytes, see text.ts. */
export const string: FieldType<string> = {
  name: 'string',
  wireType: WIRE.bytes,
  read: (reader) => decodeText(reader.bytes()),
  write(writer, value) {
    if (typeof value !== 'string') throw fault(value, 'a string');
    writer.bytes(encodeText(value));
  },
};

/** Read as a view of the file's buffer, not a copy. */
export const bytes: FieldType<Uint8Array> = {
  name: 'bytes',
  wireType: WIRE.bytes,
  read: (reader) => reader.bytes(),
  write(writer, value) {
    if (!(value instanceof Uint8Array)) throw fault(value, 'a Uint8Array');
    writer.bytes(value);
  },
};

/** An element of a repeated field, and all that come right behind it: a saved thread has 160 words of vector registers. */
export function readElements<T>(
  reader: Reader,
  { number, type }: { readonly number: number; readonly type: FieldType<T> },
  list: T[],
  depth: number,
): void {
  const tag = (number << 3) | type.wireType;
  do {
    list.push(type.read(reader, depth));
  } while (takeTag(reader, tag));
}

/** Passes over the next tag if it is this one; a longer one is left to the reader. */
function takeTag(reader: Reader, tag: number): boolean {
  if (tag >= 0x80 || reader.pos >= reader.len || reader.buf[reader.pos] !== tag) return false;
  reader.pos += 1;
  return true;
}
