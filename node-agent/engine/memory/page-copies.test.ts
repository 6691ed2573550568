// Copies in the place of a snapshot: when they are the shorter way, and how often pages are copied before the freeze.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAnotherRoundWorthIt, type RoundState } from './copy-rounds.ts';
import { isCopyShorter } from './page-copies.ts';

const MIB = 1 << 20;
const PAGE = 4096;

/** So many bytes in so many runs. */
const runs = (bytes: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => [
    i * bytes,
    i * bytes + Math.floor(bytes / count),
  ]).flat();

test('little of much is copied, much is not', () => {
  assert.equal(isCopyShorter(runs(MIB, 256), 1024 * MIB), true);
  assert.equal(isCopyShorter(runs(PAGE, 1), PAGE), true);
  assert.equal(isCopyShorter(runs(1024 * MIB, 3), 1024 * MIB), false);
  assert.equal(isCopyShorter(runs(64 * MIB, 16_384), 1024 * MIB), false, 'scattered');
});

test('rounds end when little is left, nothing is gained or there is no room', () => {
  const worth = (more: Partial<RoundState>): boolean =>
    isAnotherRoundWorthIt({
      round: 1,
      lastBytes: Number.POSITIVE_INFINITY,
      bytes: 100 * MIB,
      roomBytes: 256 * MIB,
      ...more,
    });
  assert.equal(worth({}), true);
  assert.equal(worth({ bytes: 64 * PAGE }), false, 'little');
  assert.equal(worth({ bytes: 250 * MIB }), false, 'no room');
  assert.equal(worth({ round: 2, lastBytes: 1000 * MIB }), true, 'it shrinks');
  assert.equal(worth({ round: 2, lastBytes: 110 * MIB }), false, 'it does not shrink');
  assert.equal(worth({ round: 100 }), false, 'for ever');
});
