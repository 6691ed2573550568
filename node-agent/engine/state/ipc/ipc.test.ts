// System V IPC through a dump and a restore into a new namespace.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type CriuProgram, diapause, restoreWith } from '../../../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../../../test/victims/victim.ts';
import type { DumpTask } from '../../protocol.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-ipc-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Our command in an IPC namespace of its own, so that nothing is left in the machine's. */
function inNewNamespace(): CriuProgram {
  const path = join(base, 'criu');
  writeFileSync(path, `#!/bin/sh\nexec unshare --ipc ${diapause.path} "$@"\n`);
  chmodSync(path, 0o755);
  return { name: 'diapause', path };
}

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

test('the copied program does not notice', async () => {
  using victim = await startVictim(buildVictim('ipc'));
  await dump(victim, 'Resume');
  await mustPass(victim);
});

test('the restored program has what it had', async () => {
  using victim = await startVictim(buildVictim('ipc'));
  const images = await dump(victim, 'Kill');
  const { status, log } = await restoreWith(inNewNamespace(), images);
  assert.equal(status, 0, log.slice(-3000));
  using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  await mustPass(restored);
});
