import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreezeGauge } from './freeze-watch.ts';

function exceededAt(limitMillis: number, seen: readonly (readonly [number, boolean])[]): number[] {
  const gauge = new FreezeGauge(limitMillis);
  return seen.filter(([now, stopped]) => gauge.observe(now, stopped)).map(([now]) => now);
}

test('only an uninterrupted stop counts', () => {
  assert.deepEqual(
    exceededAt(100, [
      [0, true],
      [100, true],
      [101, true],
    ]),
    [101],
  );
  assert.deepEqual(
    exceededAt(100, [
      [0, true],
      [90, true],
      [95, false],
      [150, true],
      [240, true],
    ]),
    [],
  );
  assert.deepEqual(
    exceededAt(100, [
      [0, false],
      [500, false],
    ]),
    [],
  );
});

test('without a limit nothing is exceeded', () => {
  assert.deepEqual(
    exceededAt(Number.POSITIVE_INFINITY, [
      [0, true],
      [1e12, true],
    ]),
    [],
  );
});
