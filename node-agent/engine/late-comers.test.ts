// A parent that is in fork(2) when it is seized has a child that nobody has attached to: it must be found before the freeze.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

/** Of the 500 MiB each fork takes some ten milliseconds, so that one is under way most of the time. */
const FORKS_WITHOUT_REST = ['40', '500', '64', '500'];
const DRY_RUNS = 8;

test('who is being born while the tree is seized is saved, too', async () => {
  using victim = await startVictim(buildVictim('passing'), FORKS_WITHOUT_REST);
  for (let i = 0; i < DRY_RUNS; i++) {
    const task = dumpTask(victim.pid, tmpdir(), { dryRun: true });
    const { result, failure } = await startEngine(task).ended;
    assert.ok(result, JSON.stringify(failure));
    const refusals = result.findings.filter(({ severity }) => severity === 'refusal');
    assert.deepEqual(refusals, []);
  }
});
