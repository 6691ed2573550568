// One program saved and restored again and again: it goes on each time, and nothing piles up in it.
// REPEATS in the environment says how often (issue bar: 200).
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { diapause, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { foreignMappings, identities, mustBeWell } from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const REPEATS = Number(process.env['REPEATS'] ?? 4);
/** The first restore moves a few pages: what follows is compared with it. */
const MAX_DRIFT_KIB = 256;

interface Size {
  readonly mappings: number;
  readonly descriptors: number;
  readonly residentKib: number;
}

function sizeOf({ pid }: Victim): Size {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return {
    mappings: readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    residentKib: Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]),
  };
}

async function through(victim: Victim): Promise<Victim> {
  const images = mkdtempSync(join(tmpdir(), 'diapause-again-'));
  try {
    const { failure, result } = await startEngine(
      dumpTask(victim.pid, images, { afterDump: 'Kill' }),
    ).ended;
    assert.ok(result, JSON.stringify(failure));
    const { status, log } = await restoreWith(diapause, images);
    assert.equal(status, 0, log.slice(-3000));
    return watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  } finally {
    rmSync(images, { recursive: true, force: true });
  }
}

test(`${REPEATS} restores in a row`, { timeout: 30_000 * (REPEATS + 1) }, async () => {
  using first = await startVictim(buildVictim('steady'), ['caught']);
  await mustBeWell(first);
  const before = identities(first.pid);
  let victim = await through(first);
  await mustBeWell(victim);
  const size = sizeOf(victim);
  for (let round = 2; round <= REPEATS; round++) {
    victim = await through(victim);
    await mustBeWell(victim);
    assert.deepEqual(identities(victim.pid), before, `round ${round}`);
    assert.deepEqual(foreignMappings(victim.pid), [], `round ${round}`);
    const now = sizeOf(victim);
    assert.equal(now.mappings, size.mappings, `mappings in round ${round}`);
    assert.equal(now.descriptors, size.descriptors, `descriptors in round ${round}`);
    const drift = now.residentKib - size.residentKib;
    assert.ok(drift <= MAX_DRIFT_KIB, `resident memory grew by ${drift} KiB in ${round} rounds`);
  }
});
