// Round trips of every message, the exact bytes of every scalar type, and what is refused.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Writer } from 'protobufjs/minimal.js';
import {
  bool,
  bytes,
  enumeration,
  fixed32,
  fixed64,
  i32,
  i64,
  lazy,
  type Message,
  message,
  optional,
  repeated,
  required,
  sint32,
  sint64,
  string,
  u32,
  u64,
} from './codec.ts';
import { ImageError } from './image-error.ts';
import { coreEntry } from './messages/core.ts';
import { mmEntry } from './messages/memory.ts';
import { allMessages } from './testing/messages.ts';
import { randomValue, seeded } from './testing/random.ts';

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

function fails(body: () => unknown, expected: Partial<ImageError>): void {
  assert.throws(body, (error: unknown) => {
    assert.ok(error instanceof ImageError, String(error));
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(error[key as keyof ImageError], value);
    }
    return true;
  });
}

test('every message comes back as it was written', () => {
  const messages = allMessages();
  assert.ok(messages.length > 100, `only ${messages.length} messages found`);
  for (const [index, type] of messages.entries()) {
    const random = seeded(index);
    for (let round = 0; round < 20; round++) {
      const value = randomValue(random, type);
      const encoded = type.encode(value);
      const decoded = type.decode(encoded);
      assert.deepStrictEqual(decoded, value, `${type.name}, round ${round}`);
      assert.equal(hex(type.encode(decoded)), hex(encoded));
    }
  }
});

// expected bytes worked out by hand from the protobuf encoding rules, not by this code
const scalars: readonly [string, Message<{ readonly v: unknown }>, unknown, string][] = [
  ['u32', message('m', { v: required(1, u32) }), 300, '08ac02'],
  ['u32 max', message('m', { v: required(1, u32) }), 0xffff_ffff, '08ffffffff0f'],
  ['i32 -1 takes ten bytes', message('m', { v: required(1, i32) }), -1, '08ffffffffffffffffff01'],
  ['enum', message('m', { v: required(2, enumeration) }), 5, '1005'],
  ['sint32 -1', message('m', { v: required(1, sint32) }), -1, '0801'],
  ['sint32 min', message('m', { v: required(1, sint32) }), -0x8000_0000, '08ffffffff0f'],
  ['u64 2^64-1', message('m', { v: required(1, u64) }), 2n ** 64n - 1n, '08ffffffffffffffffff01'],
  ['u64 2^63', message('m', { v: required(1, u64) }), 2n ** 63n, '0880808080808080808001'],
  ['u64 2^53+1', message('m', { v: required(1, u64) }), 2n ** 53n + 1n, '088180808080808010'],
  ['u64 2^32', message('m', { v: required(1, u64) }), 2n ** 32n, '088080808010'],
  ['u64 0', message('m', { v: required(1, u64) }), 0n, '0800'],
  ['i64 -2', message('m', { v: required(1, i64) }), -2n, '08feffffffffffffffff01'],
  ['i64 min', message('m', { v: required(1, i64) }), -(2n ** 63n), '0880808080808080808001'],
  ['sint64 -1', message('m', { v: required(1, sint64) }), -1n, '0801'],
  ['sint64 min', message('m', { v: required(1, sint64) }), -(2n ** 63n), '08ffffffffffffffffff01'],
  ['fixed32', message('m', { v: required(1, fixed32) }), 0x8000_0001, '0d01000080'],
  [
    'fixed64',
    message('m', { v: required(1, fixed64) }),
    0x8000_0000_0000_0001n,
    '090100000000000080',
  ],
  ['bool', message('m', { v: required(1, bool) }), true, '0801'],
  ['string', message('m', { v: required(1, string) }), 'aä', '0a0361c3a4'],
  ['string of other bytes', message('m', { v: required(1, string) }), 'a\udcff', '0a0261ff'],
  ['bytes', message('m', { v: required(1, bytes) }), Uint8Array.of(0, 255), '0a0200ff'],
  ['empty bytes', message('m', { v: required(1, bytes) }), new Uint8Array(), '0a00'],
  ['field above 5000', message('m', { v: required(5000, u32) }), 1, 'c0b80201'],
  ['repeated is not packed', message('m', { v: repeated(1, u32) }), [1, 2], '08010802'],
];
for (const [title, type, v, expected] of scalars) {
  test(`bytes of ${title}`, () => {
    assert.equal(hex(type.encode({ v })), expected);
    assert.deepStrictEqual(type.decode(unhex(expected)), { v });
  });
}

test('fields are written by ascending number, as CRIU does', () => {
  const type = message('m', { late: required(3, u32), early: required(1, u32) });
  assert.equal(hex(type.encode({ late: 1, early: 2 })), '08021801');
});

test('packed lists are read, also in several pieces and mixed with single elements', () => {
  const type = message('m', { v: repeated(1, u32), w: repeated(2, fixed64) });
  const decoded = type.decode(
    unhex('0a0301ac02' + '0805' + '0a0106' + '12100100000000000000ffffffffffffffff'),
  );
  assert.deepStrictEqual(decoded, { v: [1, 300, 5, 6], w: [1n, 2n ** 64n - 1n] });
});

test('fields that are not known are skipped, whatever they are', () => {
  const type = message('m', { v: required(1, u32) });
  const unknown = ['5001', '5101' + '00'.repeat(7), '5203616263', '5d01020304', '53080154'];
  assert.deepStrictEqual(type.decode(unhex(`${unknown.join('')}0807`)), { v: 7 });
});

test('absent optional fields have no key', () => {
  const type = message('m', { a: optional(1, u32), b: optional(2, string), c: repeated(3, u32) });
  assert.deepStrictEqual(type.decode(new Uint8Array()), { c: [] });
});

test('a missing required field is named with its path', () => {
  const inner = message('inner', { pid: required(1, u32), name: optional(2, string) });
  const outer = message('outer', { list: repeated(3, inner) });
  fails(() => outer.decode(unhex('1a020801' + '1a03120161'), { file: 'x.img', record: 4 }), {
    file: 'x.img',
    record: 4,
    field: 'list[1].pid',
    reason: 'required field is missing',
  });
  fails(() => coreEntry.decode(new Uint8Array()), { file: 'core_entry', field: 'mtype' });
});

test('values that do not fit are refused with their path', () => {
  const type = message('m', {
    in: required(1, message('n', { v: optional(1, u32), w: optional(2, u64) })),
  });
  const where = { file: 'm.img', record: 1 };
  for (const v of [-1, 2 ** 32, 1.5, Number.NaN]) {
    fails(() => type.encode({ in: { v } }, where), { file: 'm.img', record: 1, field: 'in.v' });
  }
  for (const w of [-1n, 2n ** 64n]) {
    fails(() => type.encode({ in: { w } }, where), { field: 'in.w' });
  }
  fails(() => type.encode({} as never, where), { field: 'in' });
  fails(() => type.encode({ in: { w: 5 as unknown as bigint } }, where), { field: 'in.w' });
});

test('a wrong wire type is refused', () => {
  fails(() => message('m', { v: optional(1, u32) }).decode(unhex('0a00')), { field: 'v' });
  fails(() => message('m', { v: optional(1, string) }).decode(unhex('0801')), { field: 'v' });
  fails(() => message('m', { v: repeated(1, string) }).decode(unhex('0801')), { field: 'v[0]' });
});

test('a nested message cannot reach over its end', () => {
  const type = message('m', {
    in: optional(1, message('n', { v: required(1, string) })),
    t: optional(2, string),
  });
  fails(() => type.decode(unhex('0a030a0361' + '6263')), { field: 'in.v' });
  fails(() => type.decode(unhex('0a7f')), { field: 'in' });
});

test('nesting has a limit', () => {
  interface Nest {
    readonly in?: Nest;
  }
  const nest: Message<Nest> = message('nest', {
    in: optional(
      1,
      lazy('nest', () => nest),
    ),
  });
  let bomb: Uint8Array = new Uint8Array();
  for (let depth = 0; depth < 5000; depth++) {
    bomb = new Writer().uint32(10).bytes(bomb).finish();
  }
  assert.throws(() => nest.decode(bomb), ImageError);
});

test('a draft becomes a value once all required fields are there', () => {
  const mm = randomValue(seeded(1), mmEntry);
  const { vmas: _, aios: _none, ...rest } = mm;
  const complete = mmEntry.complete(rest);
  assert.deepStrictEqual(complete, { ...mm, vmas: [], aios: [] });
  fails(() => mmEntry.complete({ ...rest, vmas: [{ start: 1n }] }, { file: 'mm-1.img' }), {
    file: 'mm-1.img',
    field: 'vmas[0].end',
  });
});

test('a message refuses a number that is used twice', () => {
  assert.throws(() => message('m', { a: optional(1, u32), b: optional(1, u32) }), /twice/);
});
