// A copy in the place of a snapshot: when it is the shorter way, and that it is of the moment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlacedRun } from './older-pages.ts';
import { isCopyShorter } from './page-copy.ts';

const MIB = 1 << 20;
const PAGE = 4096;

/** So many bytes in so many runs. */
function plan(bytes: number, runs: number) {
  const one = { giveable: true, lazy: true, inParent: false };
  const changed: PlacedRun[] = Array.from({ length: runs }, (_, i) => ({
    ...one,
    start: BigInt(i * bytes),
    end: BigInt(i * bytes + Math.floor(bytes / runs)),
  }));
  return { runs: changed, changed, bytes, guards: [] };
}

test('little of much is copied, much is not', () => {
  assert.equal(isCopyShorter(plan(MIB, 256), 1024 * MIB), true);
  assert.equal(isCopyShorter(plan(PAGE, 1), PAGE), true);
  assert.equal(isCopyShorter(plan(1024 * MIB, 3), 1024 * MIB), false);
  assert.equal(isCopyShorter(plan(64 * MIB, 16_384), 1024 * MIB), false, 'scattered');
});
