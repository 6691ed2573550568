// Which call is made again so that a sleep goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYS } from '../arch/x86-64.ts';
import { plan } from './rearm.ts';

const args = [1n, 2n, 3n, 4n, 5n, 6n];

test('a nanosleep sleeps what is left', () => {
  assert.deepEqual(plan(SYS.nanosleep, args, 7n), {
    call: SYS.nanosleep,
    args,
    timeoutArgument: 0,
  });
});

test('only a relative clock_nanosleep is made again', () => {
  assert.equal(plan(SYS.clock_nanosleep, [1n, 1n, 3n, 4n], undefined), undefined);
  assert.equal(plan(SYS.clock_nanosleep, [1n, 0n, 3n, 4n], undefined)?.timeoutArgument, 2);
});

test('a futex wait with an absolute time keeps its time', () => {
  const FUTEX_WAIT_BITSET_PRIVATE = 137n;
  const FUTEX_WAIT_PRIVATE = 128n;
  assert.equal(
    plan(SYS.futex, [1n, FUTEX_WAIT_BITSET_PRIVATE, 0n, 4n], 9n)?.timeoutArgument,
    undefined,
  );
  assert.equal(plan(SYS.futex, [1n, FUTEX_WAIT_PRIVATE, 0n, 4n], 9n)?.timeoutArgument, 3);
});

test('a poll waits the milliseconds that are left, or all of them when nobody knows', () => {
  assert.equal(plan(SYS.poll, [1n, 2n, 5000n], 2_000_000_000n)?.args[2], 2000n);
  assert.equal(plan(SYS.poll, [1n, 2n, 5000n], undefined)?.args[2], 5000n);
});

test('an unknown call has no plan', () => {
  assert.equal(plan(SYS.read, args, undefined), undefined);
});
