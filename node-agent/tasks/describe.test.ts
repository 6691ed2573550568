// What an agent tells of its node.
import assert from 'node:assert/strict';
import { uptime } from 'node:os';
import { test } from 'node:test';
import { Bench } from './testing/bench.ts';
import { fakeTools } from './testing/fake-tools.ts';
import { runAgent } from './testing/run-agent.ts';

test('a node tells when its clocks stood at zero, and what its CPU has', async () => {
  await using bench = await Bench.start();
  const { api, journalFolder } = bench;
  const client = api.client({ fieldManager: 'diapause-agent' });
  await using _agent = await runAgent({ client, journalFolder, tools: fakeTools(bench) });
  const containerID = `containerd://${'0'.repeat(64)}`;
  const task = bench.give({ type: 'Describe', describe: { containerID } } as never);
  const { clocks, cpuFeatures } = (await bench.untilEnded(task)).result ?? {};
  assert.ok(clocks !== undefined);
  const uptimeMillis = Date.now() - Date.parse(clocks.boottime);
  assert.ok(Math.abs(uptimeMillis - uptime() * 1000) < 2_000, clocks.boottime);
  const sinceStart = Date.now() - Date.parse(clocks.monotonic);
  assert.ok(Math.abs(sinceStart - Number(process.hrtime.bigint() / 1_000_000n)) < 2_000);
  // Each x86-64 CPU has them; the other is the kernel's own business.
  const known = ['fxsr', 'sse2', 'nx'].filter((flag) => cpuFeatures?.includes(flag));
  assert.deepEqual(known, process.arch === 'x64' ? ['fxsr', 'sse2'] : []);
});
