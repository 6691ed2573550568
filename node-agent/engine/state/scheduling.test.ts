// Scheduling attributes between the kernel's structure, CRIU's fields and ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributesToSet, policyOf, withoutDefaultSlice } from './scheduling.ts';

const RESET_ON_FORK = 0x40000000;
const SCHED_RR = 2;
const SCHED_BATCH = 3;
const SCHED_DEADLINE = 6;

/** struct sched_attr by its 32-bit words. */
function attributes(words: Readonly<Record<number, number>>): Buffer {
  const buffer = Buffer.alloc(56);
  buffer.writeUInt32LE(56, 0);
  for (const [word, value] of Object.entries(words)) buffer.writeInt32LE(value, Number(word) * 4);
  return buffer;
}
const [POLICY, FLAGS, NICE, PRIORITY, RUNTIME, UTIL_MIN, UTIL_MAX] = [1, 2, 4, 5, 6, 12, 13];

test('the policy in the way of sched_getscheduler(2)', () => {
  const saved = attributes({ [POLICY]: SCHED_RR, [FLAGS]: 1, [PRIORITY]: 7 });
  assert.deepEqual(policyOf(saved), { schedPolicy: SCHED_RR + RESET_ON_FORK, schedPrio: 7 });
});

test("CRIU's fields become attributes", () => {
  const set = attributesToSet({
    schedPolicy: SCHED_RR + RESET_ON_FORK,
    schedPrio: 7,
    schedNice: 0,
  });
  assert.deepEqual(set, attributes({ [POLICY]: SCHED_RR, [FLAGS]: 1, [PRIORITY]: 7 }));
  const batch = attributesToSet({ schedPolicy: SCHED_BATCH, schedNice: -3 });
  assert.deepEqual(batch, attributes({ [POLICY]: SCHED_BATCH, [NICE]: -3 }));
});

test('ours are set verbatim', () => {
  const saved = attributes({ [POLICY]: SCHED_DEADLINE, [RUNTIME]: 1_000_000 });
  assert.deepEqual(attributesToSet({ schedAttributes: saved, schedPolicy: 0 }), saved);
});

test('limits of the utilisation are set where there are any', () => {
  const without = attributes({ [POLICY]: SCHED_BATCH, [UTIL_MAX]: 1024 });
  assert.deepEqual(
    attributesToSet({ schedAttributes: without }),
    attributes({ [POLICY]: SCHED_BATCH }),
  );
  const limited = attributes({ [UTIL_MIN]: 100, [UTIL_MAX]: 1024 });
  const set = attributes({ [FLAGS]: 0x60, [UTIL_MIN]: 100, [UTIL_MAX]: 1024 });
  assert.deepEqual(attributesToSet({ schedAttributes: limited }), set);
});

test('what every thread is born with needs no call', () => {
  assert.equal(attributesToSet({ schedAttributes: attributes({}) }), undefined);
  assert.equal(attributesToSet({ schedPolicy: 0, schedPrio: 0, schedNice: 0 }), undefined);
});

test("a slice is kept only where it is not the kernel's own", () => {
  const engine = attributes({ [RUNTIME]: 1_400_000 });
  assert.deepEqual(
    withoutDefaultSlice(attributes({ [RUNTIME]: 1_400_000 }), engine),
    attributes({}),
  );
  for (const other of [
    { [RUNTIME]: 100_000 },
    { [POLICY]: SCHED_DEADLINE, [RUNTIME]: 1_400_000 },
  ]) {
    assert.deepEqual(withoutDefaultSlice(attributes(other), engine), attributes(other));
  }
});
