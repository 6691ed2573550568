import assert from 'node:assert/strict';
import { it } from 'node:test';
import { backoffMillis } from './backoff.ts';

const POLICY = { baseMillis: 100, maxMillis: 1000 };

it('doubles up to the limit, between half and all of it', () => {
  const delays = (random: number) =>
    [1, 2, 3, 4, 5, 6, 1e9].map((failures) => backoffMillis(POLICY, failures, () => random));
  assert.deepEqual(delays(0), [50, 100, 200, 400, 500, 500, 500]);
  assert.deepEqual(delays(1), [100, 200, 400, 800, 1000, 1000, 1000]);
});

it('takes no failure for the first', () => {
  assert.equal(
    backoffMillis(POLICY, 0, () => 1),
    100,
  );
});
