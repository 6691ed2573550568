// A pod's /dev/shm ends with the pod: what its processes have of it travels with them, names and all.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startContained, startPlaceholder } from '../../../../test/victims/confined.ts';
import { dumpTask, startEngine } from '../../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, type Victim } from '../../../../test/victims/victim.ts';

enterPrivateNamespaces();

/** The placeholder's; the program has another one. */
execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/dev/shm']);
const START = ['-c', 'mount -t tmpfs tmpfs /dev/shm && exec "$0"', buildVictim('files-shm')];

async function verify(victim: Victim, round: number): Promise<void> {
  victim.signal('SIGUSR1');
  const said = await victim.waitForLine(new RegExp(` ${round}$`));
  assert.equal(said, `good ${round}`);
}

test('shared memory and semaphores come back under their names where /dev/shm is empty', async (t) => {
  const contained = await startContained('/bin/sh', START);
  using victim = contained.victim;
  await verify(victim, 1);
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const dumped = await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended;
  assert.ok(dumped.result, JSON.stringify(dumped.failure));
  assert.deepEqual(readdirSync('/dev/shm'), []);

  using placeholder = await startPlaceholder(contained, 'all');
  const trees = [{ name: 'victim', imagesDir, placeholderPid: placeholder.pid }];
  const restored = await startEngine({ type: 'restore', trees, leaveStopped: false }).ended;
  assert.ok(restored.restored, JSON.stringify(restored.failure));
  await verify(placeholder, 2);
  const names = readdirSync('/dev/shm').toSorted();
  assert.deepEqual(names, ['diapause-memory', 'sem.diapause-semaphore']);
});
