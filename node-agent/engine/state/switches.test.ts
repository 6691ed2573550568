// Everything that prctl(2) sets for threads, through dumps and restores, as root and in a pod without any rights.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startContained, startPlaceholder } from '../../../test/victims/confined.ts';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { nextLine } from '../../../test/victims/health.ts';
import { type Ordeal, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const ORDEALS: readonly Ordeal[] = [
  'nothing',
  'dumped',
  'dumped and restored',
  'dumped twice and restored',
];

async function report(victim: Victim): Promise<string[]> {
  const end = await nextLine(victim, /^report \d+ end$/, () => victim.signal('SIGUSR1'));
  const number = /^report \d+ /.exec(end)![0];
  const lines = victim.output().split('\n');
  return lines.filter((line) => line.startsWith(number)).map((line) => line.slice(number.length));
}

describe('what prctl sets for threads', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('switches'), ['child']);
      const before = await report(victim);
      using survivor = await through(victim, ordeal);
      assert.deepEqual(await report(survivor.victim), before);
      assert.deepEqual(survivor.findings, []);
    });
  }

  test('a signal at the end of a parent that is not saved is told', async () => {
    using victim = await startVictim(buildVictim('switches'));
    const before = await report(victim);
    using survivor = await through(victim, 'dumped and restored');
    // The engine was its parent, and has ended.
    assert.deepEqual(
      await report(survivor.victim),
      before.map((line) => line.replace(/(death signal) \d+/, '$1 0')),
    );
    const told = survivor.findings.map(({ code, severity }) => `${code} ${severity}`);
    assert.deepEqual(told, Array(3).fill('DeathSignal loss'));
  });

  test('restored into a pod without any rights', async (t) => {
    const contained = await startContained(buildVictim('switches'), ['confined']);
    using victim = contained.victim;
    const before = await report(victim);
    const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
    t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
    const dumped = await startEngine(dumpTask(victim.pid, imagesDir, { afterDump: 'Kill' })).ended;
    assert.ok(dumped.result, JSON.stringify(dumped.failure));
    using placeholder = await startPlaceholder(contained);
    const trees = [{ name: 'victim', imagesDir, placeholderPid: placeholder.pid }];
    const end = await startEngine({ type: 'restore', trees, leaveStopped: false }).ended;
    assert.ok(end.restored, JSON.stringify(end.failure));
    // Such a pod has no_new_privs from the start.
    const gained = (line: string): string => line.replace(/(no new privileges) 0/, '$1 1');
    assert.deepEqual(await report(placeholder), before.map(gained));
  });
});
