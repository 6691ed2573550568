// A process may end while its snapshot is being read. Its snapshot is an orphan then, which the kernel hands to whoever
// takes care of orphans: in a pod the application's own first process. That must not hear of it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const DUMPS = 5;

/** How many children have ended, of what it printed. */
function ended(output: string): number {
  return Number([...output.matchAll(/^ended (\d+)$/gm)].at(-1)?.[1] ?? 0);
}

test('nobody hears of the snapshot of a process that has ended', async () => {
  using victim = await startVictim(buildVictim('passing'));
  for (let i = 0; i < DUMPS; i++) {
    const images = mkdtempSync(join(tmpdir(), 'diapause-orphans-'));
    const { result, failure } = await startEngine(dumpTask(victim.pid, images)).ended;
    rmSync(images, { recursive: true });
    assert.ok(result, JSON.stringify(failure));
    await victim.waitForLine(new RegExp(`^ended ${ended(victim.output()) + 25}$`));
  }
  const strange = victim.output().match(/^(stranger|child) .*$/gm);
  assert.deepEqual(strange, null);
});
