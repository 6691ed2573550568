// What becomes of the originals: frozen where their dump left them, until somebody thaws them, or ended.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import {
  complaints,
  foreignMappings,
  identities,
  mustBeWell,
  tasksOf,
} from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const base = mkdtempSync(join(tmpdir(), 'diapause-after-dump-'));
after(() => rmSync(base, { recursive: true, force: true }));
const imagesDir = (): string => mkdtempSync(join(base, 'images-'));

/** Where the two freezers are mounted, by custom. */
const FREEZERS = [
  { name: 'v1', root: '/sys/fs/cgroup/freezer', file: 'freezer.state', thawed: 'THAWED' },
  { name: 'v2', root: '/sys/fs/cgroup/unified', file: 'cgroup.freeze', thawed: '0' },
  { name: 'v2, unified', root: '/sys/fs/cgroup', file: 'cgroup.freeze', thawed: '0' },
] as const;

const pause = (millis: number): Promise<void> => new Promise((done) => setTimeout(done, millis));

interface Cgroup extends Disposable {
  readonly directory: string;
}

/** A cgroup with the whole tree of a victim in it; gone at the end of the scope, once the victim is. */
function confine(victim: Victim, root: string): Cgroup {
  const directory = mkdtempSync(join(root, 'diapause-test-'));
  for (const { pid } of tasksOf(victim.pid))
    writeFileSync(join(directory, 'cgroup.procs'), String(pid));
  return {
    directory,
    [Symbol.dispose]() {
      // The kernel takes a moment after the last process has ended.
      for (let tries = 0; tries < 200; tries++) {
        if (tryToRemove(directory)) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
      rmdirSync(directory);
    },
  };
}

function tryToRemove(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}

/** Every line that the victim would write meanwhile. */
async function assertStandsStill(victim: Victim): Promise<void> {
  const before = victim.output();
  victim.signal('SIGUSR1');
  await pause(300);
  assert.equal(victim.output(), before, 'it answered although it should be frozen');
}

describe('the originals are kept frozen', () => {
  for (const { name, root, file, thawed } of FREEZERS) {
    for (const program of ['steady', 'tree'] as const) {
      test(`${program}, cgroup ${name}`, async (t) => {
        const probe = existsSync(root) ? mkdtempSync(join(root, 'diapause-probe-')) : undefined;
        const has = probe !== undefined && existsSync(join(probe, file));
        if (probe !== undefined) rmdirSync(probe);
        if (!has) return t.skip(`no ${file} below ${root}`);
        using stack = new DisposableStack();
        const victim = await startVictim(
          buildVictim(program),
          program === 'steady' ? ['plain'] : [],
        );
        const { directory } = stack.use(confine(victim, root));
        stack.use(victim);
        const freezerFile = join(directory, file);
        await mustBeWell(victim, program === 'tree' ? 1 : 0);
        const before = identities(victim.pid);
        const trees = [
          { name: 'victim', rootPid: victim.pid, imagesDir: imagesDir(), freezerFile },
        ];
        const end = await startEngine(dumpTask(victim.pid, '', { trees, afterDump: 'KeepFrozen' }))
          .ended;
        try {
          assert.equal(end.failure, undefined);
          assert.ok(
            tasksOf(victim.pid).every(({ tracer }) => tracer === 0),
            'nobody traces it',
          );
          assert.deepEqual(foreignMappings(victim.pid), []);
          await assertStandsStill(victim);
        } finally {
          writeFileSync(freezerFile, thawed);
        }
        await mustBeWell(victim, program === 'tree' ? 1 : 0);
        assert.deepEqual(identities(victim.pid), before);
        victim.signal('SIGTERM');
        for (const end = Date.now() + 10_000; victim.alive() && Date.now() < end; ) await pause(5);
        assert.deepEqual(complaints(victim), []);
      });
    }
  }
});

test('the originals are ended, and their parent learns it', async () => {
  using victim = await startVictim(buildVictim('tree'));
  const members = tasksOf(victim.pid).map(({ pid }) => pid);
  const end = await startEngine(dumpTask(victim.pid, imagesDir(), { afterDump: 'Kill' })).ended;
  assert.equal(end.failure, undefined);
  assert.equal(victim.alive(), false);
  for (const pid of members) assert.equal(isRunning(pid), false, `process ${pid} lives on`);
  assert.deepEqual(complaints(victim), []);
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
