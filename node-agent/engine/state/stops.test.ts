// Stopped processes through dumps and restores: still stopped, by the same signal, and heard once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complaints, nextLine } from '../../../test/victims/health.ts';
import { ORDEALS, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

describe('stopped processes', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('stops'));
      using survivor = await through(victim, ordeal);
      const { victim: now } = survivor;
      assert.deepEqual(survivor.findings, []);
      await nextLine(now, /^looked/, () => now.signal('SIGUSR1'));
      await nextLine(now, /^verdict/, () => now.signal('SIGTERM'));
      assert.deepEqual(complaints(now), []);
    });
  }
});
