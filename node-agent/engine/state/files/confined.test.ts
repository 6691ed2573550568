// A program opens files as root, becomes another user, and is restored where nobody is root. Needs root.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startContained, startPlaceholder } from '../../../../test/victims/confined.ts';
import { dumpTask, startEngine } from '../../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim } from '../../../../test/victims/victim.ts';

enterPrivateNamespaces();

test('what was opened before privileges were dropped is open in a process without any', async (t) => {
  const contained = await startContained(buildVictim('files-before-drop'));
  using victim = contained.victim;
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const dumped = await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended;
  assert.ok(dumped.result, JSON.stringify(dumped.failure));
  using placeholder = await startPlaceholder(contained);
  const trees = [{ name: 'victim', imagesDir, placeholderPid: placeholder.pid }];
  const restored = await startEngine({ type: 'restore', trees, leaveStopped: false }).ended;
  assert.ok(restored.restored, JSON.stringify(restored.failure));
  assert.deepEqual(restored.restored.findings, []);
  placeholder.signal('SIGTERM');
  const last = await placeholder.waitForLine(/^(PASS|FAIL \d+|SETUP.*)$/);
  assert.equal(last, 'PASS', placeholder.output());
});
