// Any bytes survive as text, and text that is UTF-8 reads as such.
import assert from 'node:assert/strict';
import test from 'node:test';
import { below, randomBytes, seeded } from './testing/random.ts';
import { decodeText, encodeText } from './text.ts';

const CASES: readonly [string, number[]][] = [
  ['', []],
  ['/tmp/ä', [0x2f, 0x74, 0x6d, 0x70, 0x2f, 0xc3, 0xa4]],
  ['𝄞', [0xf0, 0x9d, 0x84, 0x9e]],
  ['\ufeffx', [0xef, 0xbb, 0xbf, 0x78]],
  ['a\udcffb', [0x61, 0xff, 0x62]],
  ['\udcc3', [0xc3]],
  ['\udcc3x', [0xc3, 0x78]],
  // an encoded surrogate is no UTF-8
  ['\udced\udcb3\udc80', [0xed, 0xb3, 0x80]],
  // overlong
  ['\udcc0\udc80', [0xc0, 0x80]],
  ['\udcff\udcfe𝄞', [0xff, 0xfe, 0xf0, 0x9d, 0x84, 0x9e]],
];

test('known texts', () => {
  for (const [text, bytes] of CASES) {
    assert.equal(decodeText(Uint8Array.from(bytes)), text);
    assert.deepStrictEqual([...encodeText(text)], bytes);
  }
});

test('any bytes come back', () => {
  const random = seeded(7);
  for (let round = 0; round < 5000; round++) {
    const bytes = randomBytes(random, below(random, 12));
    assert.deepStrictEqual([...encodeText(decodeText(bytes))], [...bytes]);
  }
});
