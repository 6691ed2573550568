// Restartable sequences and registered memory barriers through dumps and restores.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mustBeWell } from '../../../test/victims/health.ts';
import { ORDEALS, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

describe('threads in restartable sequences leave them, and barriers stay registered', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('sequences'));
      await mustBeWell(victim);
      using survivor = await through(victim, ordeal);
      assert.deepEqual(survivor.findings, []);
      await mustBeWell(survivor.victim);
    });
  }
});
