// Which mappings are taken for what an engine before us has left, and where the next one goes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mapping } from '../linux/procfs/maps.ts';
import { parseMaps } from '../linux/procfs/maps.ts';
import { HOME, nextHome } from './resident.ts';

const at = (number: bigint): Mapping => {
  const start = HOME.first + number * HOME.step;
  const range = `${start.toString(16)}-${(start + 4096n).toString(16)}`;
  return parseMaps(`${range} rwxp 00000000 00:00 0`)[0]!;
};

test('the first place that is free', () => {
  assert.equal(nextHome({ leftovers: [] }), HOME.first);
  assert.equal(nextHome({ leftovers: [at(0n)] }), HOME.first + HOME.step);
  assert.equal(nextHome({ leftovers: [at(1n)] }), HOME.first);
  assert.equal(nextHome({ leftovers: [at(0n), at(2n)] }), HOME.first + HOME.step);
});
