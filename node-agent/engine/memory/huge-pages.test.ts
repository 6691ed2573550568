// Memory of reserved huge pages through a dump and a restore. Reserves some for the time of the test.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { diapause, restoreWith } from '../../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../../test/victims/victim.ts';
import type { DumpTask } from '../protocol.ts';

enterPrivateNamespaces();

const RESERVED = '/proc/sys/vm/nr_hugepages';
const NEEDED = 16;

const reserved = (): number => Number(readFileSync(RESERVED, 'latin1'));
const before = reserved();
writeFileSync(RESERVED, String(before + NEEDED));
const base = mkdtempSync(join(tmpdir(), 'diapause-huge-'));
after(() => {
  writeFileSync(RESERVED, String(before));
  rmSync(base, { recursive: true, force: true });
});
const skip = reserved() < before + NEEDED ? 'the machine has no room for huge pages' : false;

async function dump(victim: Victim, afterDump: DumpTask['afterDump']): Promise<string> {
  const images = mkdtempSync(join(base, 'images-'));
  const { failure, result } = await startEngine(dumpTask(victim.pid, images, { afterDump })).ended;
  assert.ok(result, JSON.stringify(failure));
  return images;
}

async function mustPass(victim: Victim): Promise<void> {
  victim.signal('SIGTERM');
  assert.equal(await victim.waitForLine(/^(PASS|FAIL \d+|SETUP.*)$/), 'PASS', victim.output());
}

test('the copied program does not notice', { skip }, async () => {
  using victim = await startVictim(buildVictim('huge-pages'));
  await dump(victim, 'Resume');
  await mustPass(victim);
});

test('the restored program has what it had', { skip }, async () => {
  using victim = await startVictim(buildVictim('huge-pages'));
  const images = await dump(victim, 'Kill');
  const { status, log } = await restoreWith(diapause, images);
  assert.equal(status, 0, log.slice(-3000));
  using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  await mustPass(restored);
});

test('a target with too few huge pages is told so, and nothing is begun', { skip }, async () => {
  using victim = await startVictim(buildVictim('huge-pages'));
  const images = await dump(victim, 'Kill');
  writeFileSync(RESERVED, '0');
  const { status, log } = await restoreWith(diapause, images);
  writeFileSync(RESERVED, String(before + NEEDED));
  assert.notEqual(status, 0);
  assert.match(log, /HugePages.*\d+ huge pages of 2048 KiB, 0 are free/);
});
