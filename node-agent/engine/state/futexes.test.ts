// Futexes with state in the kernel through dumps and restores: no waiter hears anything it would not have heard without.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { complaints, nextLine } from '../../../test/victims/health.ts';
import { ORDEALS, through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';

enterPrivateNamespaces();

const FUTEX_OWNER_DIED = 0x40000000;
/** ids that the kernel clears when their threads end, then locks */
const IDS = 2;
const WORDS = IDS + 7;
/** The words of futexes.c in the file, which no image holds. */
function wordsOf(victim: Victim): number[] {
  const bytes = readFileSync(join(victim.dir, 'futexes.data'));
  return Array.from({ length: WORDS }, (_, i) => bytes.readUInt32LE(i * 4));
}

describe('priority-inheriting locks, futex_waitv, requeued waiters, clear_child_tid', () => {
  for (const ordeal of ORDEALS) {
    test(ordeal, async () => {
      using victim = await startVictim(buildVictim('futexes'), ['2500']);
      const ids = wordsOf(victim).slice(0, IDS);
      const meanwhile = (): void => {
        const words = wordsOf(victim);
        assert.deepEqual(words.slice(0, IDS), ids, 'the end of the original cleared its ids');
        const marked = words.filter((word) => word & FUTEX_OWNER_DIED);
        assert.deepEqual(marked, [], 'the end of the original marked locks');
      };
      using survivor = await through(victim, ordeal, { meanwhile });
      const { victim: now } = survivor;
      assert.deepEqual(survivor.findings, []);
      await now.waitForLine(/^all gave up/);
      await nextLine(now, /^woken/, () => now.signal('SIGUSR1'));
      await nextLine(now, /^verdict/, () => now.signal('SIGTERM'));
      assert.deepEqual(complaints(now), [], now.output());
    });
  }
});
