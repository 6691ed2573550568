// Timers that were faster than whoever hears them, through dumps and restores.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complaints, nextLine } from '../../../test/victims/health.ts';
import { type Ordeal, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

/** each timer whose signal waits, at every dump */
const WAITING = 2;
const ORDEALS: readonly (readonly [Ordeal, number])[] = [
  ['nothing', 0],
  ['dumped', 1],
  ['dumped and restored', 1],
  ['dumped twice and restored', 2],
];

describe('overruns of timers', () => {
  for (const [ordeal, dumps] of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('overruns'));
      using survivor = await through(victim, ordeal);
      const { victim: now } = survivor;
      const told = survivor.findings.map(({ code, severity }) => `${code} ${severity}`);
      assert.deepEqual(told, Array(WAITING * dumps).fill('TimerOverrun loss'));
      await nextLine(now, /^looked/, () => now.signal('SIGUSR1'));
      await nextLine(now, /^verdict/, () => now.signal('SIGTERM'));
      assert.deepEqual(complaints(now), []);
    });
  }
});
