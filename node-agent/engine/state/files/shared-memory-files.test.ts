// A pod's /dev/shm ends with the pod: what its processes have of it travels with them, names and all.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { startContained } from '../../../../test/victims/confined.ts';
import { throughPod } from '../../../../test/victims/ordeals.ts';
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

test('shared memory and semaphores come back under their names where /dev/shm is empty', async () => {
  const contained = await startContained('/bin/sh', START);
  using victim = contained.victim;
  await verify(victim, 1);
  const meanwhile = (): void => assert.deepEqual(readdirSync('/dev/shm'), []);
  using survivor = await throughPod(contained, 'all', { meanwhile });
  await verify(survivor.victim, 2);
  const names = readdirSync('/dev/shm').toSorted();
  assert.deepEqual(names, ['diapause-memory', 'sem.diapause-semaphore']);
});
