// How large the kernel makes rings, and which content one may have.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRing, possibleCpus, ringBytes } from './aio-ring.ts';

test('the size of a ring follows from what was asked for and from the CPUs', () => {
  // Measured: io_setup(1), io_setup(20) and io_setup(3000) with two CPUs.
  assert.equal(ringBytes(1, 2), 4096);
  assert.equal(ringBytes(20, 2), 4096);
  assert.equal(ringBytes(3000, 2), 192_512);
  assert.equal(ringBytes(1, 64), 20_480);
});

test('the last possible CPU counts', () => {
  assert.equal(possibleCpus('0\n'), 1);
  assert.equal(possibleCpus('0-1\n'), 2);
  assert.equal(possibleCpus('0,2-63\n'), 64);
});

function ring(nr: number, head: number, tail: number, magic = 0xa10a10a1): Buffer {
  const bytes = Buffer.alloc(4096);
  [7, nr, head, tail, magic].forEach((word, i) => bytes.writeUInt32LE(word, i * 4));
  return bytes;
}

test('both ends of a ring lie in it', () => {
  assert.ok(isRing(ring(127, 126, 3)));
  for (const [what, bytes] of [
    ['magic', ring(127, 0, 0, 1)],
    ['more events than room', ring(128, 0, 0)],
    ['no events', ring(0, 0, 0)],
    ['head', ring(127, 127, 0)],
    ['tail', ring(127, 0, 127)],
    ['too short', ring(127, 0, 0).subarray(0, 100)],
  ] as const) {
    assert.ok(!isRing(bytes), what);
  }
});
