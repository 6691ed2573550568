// Programs with open files of every kind are dumped, killed and restored, and then look at what they have. Needs root.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { diapause, mustSucceed, restoreWith } from '../../../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../../../test/victims/victim.ts';
import type { DumpTask } from '../../protocol.ts';

enterPrivateNamespaces();

interface Subject {
  readonly program: string;
  readonly args: readonly string[];
  readonly task?: Partial<DumpTask>;
}

const SUBJECTS: readonly Subject[] = [
  { program: 'files-regular', args: [] },
  { program: 'files-locks', args: [] },
  { program: 'files-pipe', args: [] },
  { program: 'files-events', args: [] },
  { program: 'files-watches', args: [] },
  { program: 'files-terminals', args: [] },
  { program: 'files-unix', args: [] },
  { program: 'files-packet', args: [] },
  { program: 'files-bpf', args: [] },
  { program: 'files-inet', args: [] },
  { program: 'files-inet', args: ['connections'] },
  {
    program: 'files-inet',
    args: ['connections', 'kept'],
    task: { establishedSockets: 'Keep', skipInFlight: true },
  },
];

async function dump(victim: Victim, imagesDir: string, task: Partial<DumpTask>): Promise<void> {
  const { failure, result } = await startEngine(
    dumpTask(victim.pid, imagesDir, { maxGhostBytes: 1 << 30, ...task }),
  ).ended;
  assert.ok(result, JSON.stringify(failure));
}

async function verdict(victim: Victim): Promise<void> {
  victim.signal('SIGTERM');
  const last = await victim.waitForLine(/^(PASS|FAIL \d+|SETUP.*)$/);
  assert.equal(last, 'PASS', victim.output());
}

for (const { program, args, task } of SUBJECTS) {
  const name = [program, ...args].join(' ');

  test(`${name}: the copied program does not notice`, async (t) => {
    using victim = await startVictim(buildVictim(program), args);
    const images = mkdtempSync(join(tmpdir(), 'diapause-images-'));
    t.after(() => rmSync(images, { recursive: true, force: true }));
    await dump(victim, images, { ...task, afterDump: 'Resume' });
    await verdict(victim);
  });

  test(`${name}: the restored program has what it had`, async (t) => {
    using victim = await startVictim(buildVictim(program), args);
    const images = mkdtempSync(join(tmpdir(), 'diapause-images-'));
    t.after(() => rmSync(images, { recursive: true, force: true }));
    await dump(victim, images, { ...task, afterDump: 'Kill' });
    assert.ok(!victim.alive());
    writeFileSync(join(victim.dir, 'restored'), '');
    mustSucceed(`restore of ${name}`, await restoreWith(diapause, images));
    using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
    await verdict(restored);
  });
}
