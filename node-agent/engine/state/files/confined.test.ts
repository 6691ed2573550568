// A program opens files as root, becomes another user, and is restored where nobody is root. Needs root.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startContained } from '../../../../test/victims/confined.ts';
import { throughPod } from '../../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim } from '../../../../test/victims/victim.ts';

enterPrivateNamespaces();

test('what was opened before privileges were dropped is open in a process without any', async () => {
  const contained = await startContained(buildVictim('files-before-drop'));
  using _victim = contained.victim;
  using survivor = await throughPod(contained);
  assert.deepEqual(survivor.findings, []);
  survivor.victim.signal('SIGTERM');
  const last = await survivor.victim.waitForLine(/^(PASS|FAIL \d+|SETUP.*)$/);
  assert.equal(last, 'PASS', survivor.victim.output());
});
