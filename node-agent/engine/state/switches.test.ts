// Everything that prctl(2) sets for threads, through dumps and restores, as root and in a pod without any rights.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startContained } from '../../../test/victims/confined.ts';
import { nextReport } from '../../../test/victims/health.ts';
import { ORDEALS, through, throughPod } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

describe('what prctl sets for threads', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('switches'), ['child']);
      const before = await nextReport(victim);
      using survivor = await through(victim, ordeal);
      assert.deepEqual(await nextReport(survivor.victim), before);
      assert.deepEqual(survivor.findings, []);
    });
  }

  test('a signal at the end of a parent that is not saved is told', async () => {
    using victim = await startVictim(buildVictim('switches'));
    const before = await nextReport(victim);
    using survivor = await through(victim, 'dumped and restored');
    // The engine was its parent, and has ended.
    assert.deepEqual(
      await nextReport(survivor.victim),
      before.map((line) => line.replace(/(death signal) \d+/, '$1 0')),
    );
    const told = survivor.findings.map(({ code, severity }) => `${code} ${severity}`);
    assert.deepEqual(told, Array(3).fill('DeathSignal loss'));
  });

  test('restored into a pod without any rights', async () => {
    const contained = await startContained(buildVictim('switches'), ['confined']);
    using victim = contained.victim;
    const before = await nextReport(victim);
    using survivor = await throughPod(contained);
    // Such a pod has no_new_privs from the start.
    const gained = (line: string): string => line.replace(/(no new privileges) 0/, '$1 1');
    assert.deepEqual(await nextReport(survivor.victim), before.map(gained));
  });
});
