// Dry runs: what the agent tells without saving anything.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bench } from './testing/bench.ts';
import { assertNothingLeft } from './testing/nothing-left.ts';
import { agentOn } from './testing/run-agent.ts';
import { REFUSES, SUCCESS } from './testing/scenario.ts';

test('a dry run succeeds with its refusals and writes nothing', async () => {
  await using bench = await Bench.start();
  bench.scenario(REFUSES);
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump({ dryRun: true }));
  assert.equal(status.state, 'Succeeded');
  assert.equal(status.result?.report?.[0]?.code, 'IoUring');
  await assertNothingLeft(bench);
});

test('a dry run of what can be saved tells how much that would be', async () => {
  await using bench = await Bench.start();
  bench.scenario(SUCCESS);
  const upper = join(bench.folder, 'upper');
  mkdirSync(upper);
  writeFileSync(join(upper, 'changed'), Buffer.alloc(77));
  const root = { fsType: 'overlay', readOnly: false, layers: { upper, lowers: [] } };
  await using _agent = await agentOn(bench, { root });
  const status = await bench.untilEnded(bench.giveDump({ dryRun: true }));
  assert.equal(status.state, 'Succeeded', JSON.stringify(status));
  assert.equal(status.result?.bundleDigest, undefined);
  const [container] = status.result?.containers ?? [];
  assert.equal(container?.name, 'app');
  assert.equal(container.memoryBytes, 1000);
  assert.equal(container.rootfsDiffBytes, 77);
  assert.ok(container.processes > 0);
  const { cpuFeatures, cpuFlags } = status.result?.requirements ?? {};
  assert.deepEqual([cpuFeatures, cpuFlags], [['sse2'], undefined]);
  await assertNothingLeft(bench);
});
