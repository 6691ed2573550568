import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatDuration, parseDuration } from './duration.ts';

it('reads what Go writes', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['0s', 0],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1h0m0.5s', 3_600_500],
    ['250ms', 250],
    ['1.5s', 1500],
    ['.5m', 30_000],
    ['-2s', -2000],
    ['1500us', 1.5],
  ];
  for (const [text, millis] of cases) {
    assert.equal(parseDuration(text), millis, text);
  }
});

it('refuses everything else', () => {
  for (const text of ['', '5', 's', '5 s', '1d', '1h-5m', 'x1s', '1sx', '1..5s']) {
    assert.throws(() => parseDuration(text), RangeError, text);
  }
});

it('writes what it can read', () => {
  assert.equal(formatDuration(0), '0s');
  assert.equal(formatDuration(250), '250ms');
  assert.equal(formatDuration(90_000), '1m30s');
  assert.equal(formatDuration(5_400_000), '1h30m0s');
  assert.equal(formatDuration(3_600_000), '1h0m0s');
  assert.equal(formatDuration(1500), '1.5s');
  assert.equal(formatDuration(-2000), '-2s');
  for (const millis of [1, 999, 1001, 59_999, 3_599_999, 86_400_000, 90_061_001]) {
    assert.equal(parseDuration(formatDuration(millis)), millis);
  }
});
