// Dumps that fail: for want of room, of time, or because the application holds what cannot be saved. It goes on untouched.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { foreignMappings, identities, mustBeWell } from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../test/victims/victim.ts';
import type { DumpTask } from './protocol.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-failed-'));
const mounts: string[] = [];
after(() => {
  for (const mount of mounts) execFileSync('umount', [mount]);
  rmSync(base, { recursive: true, force: true });
});

const imagesDir = (): string => mkdtempSync(join(base, 'images-'));

function mountTmpfs(name: string, options: string): string {
  const directory = join(base, name);
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  mounts.push(directory);
  return directory;
}

const UNSUPPORTED = [
  ['io_uring', 'IoUring'],
  ['userfaultfd', 'Userfaultfd'],
] as const;

describe('a dump fails', () => {
  const failures: readonly [string, string, (pid: number) => DumpTask][] = [
    ['the store is full', 'StoreFull', (pid) => dumpTask(pid, mountTmpfs('full', 'size=64k'))],
    [
      'the store is read-only',
      'StoreReadOnly',
      (pid) => dumpTask(pid, mountTmpfs('read-only', 'ro')),
    ],
    [
      'the freeze takes too long',
      'FreezeLimit',
      (pid) => dumpTask(pid, imagesDir(), { freezeLimitMillis: 0.01 }),
    ],
    [
      'the images become too large',
      'BudgetExceeded',
      (pid) => dumpTask(pid, imagesDir(), { maxBytes: 8192 }),
    ],
  ];
  for (const [name, code, task] of failures) {
    test(name, async () => {
      using victim = await startVictim(buildVictim('steady'), ['plain']);
      await mustBeWell(victim);
      const before = identities(victim.pid);
      const { failure, status } = await startEngine(task(victim.pid)).ended;
      assert.equal(failure?.code, code);
      assert.equal(status, 1);
      assert.deepEqual(foreignMappings(victim.pid), []);
      await mustBeWell(victim);
      assert.deepEqual(identities(victim.pid), before);
    });
  }

  test('the application is a 32-bit program', async () => {
    const options = ['-m32', '-nostdlib', '-static', '-ffreestanding', '-no-pie'];
    using victim = await startVictim(buildVictim('compat', options));
    for (const dryRun of [true, false]) {
      const { failure } = await startEngine(dumpTask(victim.pid, imagesDir(), { dryRun })).ended;
      const [finding] = failure?.findings ?? [];
      assert.deepEqual([failure?.code, finding?.code], ['Compat32Bit', 'Compat32Bit']);
      const said = victim.output().length;
      await victim.waitForLine(/tick/);
      for (const end = Date.now() + 5000; victim.output().length === said && Date.now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.ok(victim.alive() && victim.output().length > said, 'it goes on');
      assert.ok(!victim.output().includes('wrong'), 'its sleep was not cut short');
    }
  });

  for (const [kind, code] of UNSUPPORTED) {
    test(`the application holds ${kind}`, async (t) => {
      using victim = await startVictim(buildVictim('unsupported'), [kind]);
      const ready = /^ready fd (-?\d+) (.*)$/m.exec(victim.output());
      if (Number(ready?.[1]) < 0) return t.skip(`this kernel gives no ${kind}: ${ready?.[2]}`);
      await mustBeWell(victim);
      const before = identities(victim.pid);
      for (const dryRun of [true, false]) {
        const { failure, result } = await startEngine(dumpTask(victim.pid, imagesDir(), { dryRun }))
          .ended;
        assert.equal(failure?.code, dryRun ? undefined : code);
        const finding = (failure ?? result)?.findings?.find((f) => f.code === code);
        assert.equal(finding?.severity, 'refusal');
        assert.equal(finding.pid, victim.pid);
        assert.match(finding.object, new RegExp(`fd ${ready?.[1]}\\b`));
        await mustBeWell(victim);
      }
      assert.deepEqual(foreignMappings(victim.pid), []);
      assert.deepEqual(identities(victim.pid), before);
    });
  }
});
