// What every task that comes to nothing owes.
import assert from 'node:assert/strict';
import { until } from '../../../kube/testing/until.ts';
import type { Bench } from './bench.ts';

/** Nothing on the volume, nothing in the journal, the application running. */
export async function assertNothingLeft(bench: Bench): Promise<void> {
  await until('journal empty', () => bench.journalled().length === 0);
  assert.deepEqual(bench.bundles(), []);
  assert.equal(bench.victimState, 'S');
  assert.equal(bench.frozen, false);
}
