import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskRound } from '../../crds/node-task.ts';
import { isAnotherRoundWorthIt, MOST_ROUNDS } from './cut-over.ts';

const MIB = 1 << 20;

/** Each sends what the one before it left, 100 MiB a second; all of 1024 MiB at first. */
function rounds(...dirtyMib: readonly number[]): TaskRound[] {
  return dirtyMib.map((dirty, i) => {
    const sent = i === 0 ? 1024 : (dirtyMib[i - 1] ?? 0);
    return { number: i + 1, bytes: sent * MIB, dirtyBytes: dirty * MIB, millis: sent * 10 };
  });
}

const cases: readonly [what: string, dirtyMib: number[], maxDowntimeMillis?: number][] = [
  ['little is left', [512, 1]],
  ['nothing has changed', [0]],
  ['everything changes as fast as it is sent', [1000]],
  ['it no longer shrinks', [300, 120, 100]],
  ['it grows again', [300, 100, 110]],
  ['so many rounds there can be', [512, 256, 128, 64, 32].slice(0, MOST_ROUNDS)],
  ['half of the downtime is enough for 20 MiB', [100, 20], 400],
  ['it fits after the first round', [20], 1000],
];
for (const [what, dirtyMib, maxDowntimeMillis] of cases) {
  test(`frozen, since ${what}`, () => {
    assert.equal(isAnotherRoundWorthIt(rounds(...dirtyMib), { maxDowntimeMillis }), false);
  });
}

const again: readonly [what: string, dirtyMib: number[], maxDowntimeMillis?: number][] = [
  ['it shrinks', [300, 100]],
  ['it shrinks, and would not fit yet', [300, 100], 1000],
  ['20 MiB are too many for 300 ms', [100, 20], 300],
];
for (const [what, dirtyMib, maxDowntimeMillis] of again) {
  test(`copied again, since ${what}`, () => {
    assert.equal(isAnotherRoundWorthIt(rounds(...dirtyMib), { maxDowntimeMillis }), true);
  });
}

test('without a round nothing is known', () => {
  assert.equal(isAnotherRoundWorthIt([], {}), false);
});
