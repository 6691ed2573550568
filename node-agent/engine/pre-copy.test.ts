// Pages that are copied before the freeze: what is restored is the moment of the freeze, every page of it, and nothing stays in
// the application, wherever the engine dies.
import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import { throughImages } from '../../test/victims/cases.ts';
import { builtCriu, mustSucceed, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, type EngineOptions, startEngine } from '../../test/victims/engine-process.ts';
import { foreignMappings, tasksOf } from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';
import type { AfterDump, DumpResult, PreCopy } from './protocol.ts';

enterPrivateNamespaces();

const skip = canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)';
const base = mkdtempSync(join(tmpdir(), 'diapause-pre-copy-'));
after(() => rmSync(base, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(base, 'images-'));

interface How {
  readonly afterDump?: AfterDump;
  readonly preCopy?: PreCopy;
  readonly options?: EngineOptions;
}

async function dump(victim: Victim, imagesDir: string, how: How = {}): Promise<DumpResult> {
  const { afterDump = 'Resume', preCopy = 'always', options = {} } = how;
  const task = dumpTask(victim.pid, imagesDir, { afterDump, preCopy, establishedSockets: 'Fail' });
  const { failure, result, stderr } = await startEngine(task, options).ended;
  assert.equal(failure?.message, undefined, stderr);
  assert.ok(result);
  return result;
}

async function restore(imagesDir: string): Promise<void> {
  const trees = [{ name: 'victim', imagesDir }];
  const { failure, stderr } = await startEngine({ type: 'restore', trees, leaveStopped: false })
    .ended;
  assert.equal(failure?.message, undefined, stderr);
}

async function changed(victim: Victim, round: number): Promise<void> {
  await victim.waitForLine(new RegExp(`^parent round ${round}$`));
  await victim.waitForLine(new RegExp(`^child round ${round}$`));
}

async function mustBeRight(victim: Victim, rounds: number): Promise<void> {
  victim.signal('SIGTERM');
  const expected = `verdict wrong 0 after ${rounds} rounds`;
  const said = await Promise.all(
    ['parent', 'child'].map((who) => victim.waitForLine(new RegExp(`^${who} verdict`))),
  );
  assert.deepEqual(said, [`parent ${expected}`, `child ${expected}`], victim.output());
}

/** Changes everything it can while its pages are copied, and before it is attached to again. */
const changingMeanwhile = (victim: Victim): EngineOptions => ({
  onEvent: (event) => {
    if (event.event === 'stage' && event.stage === 'pre-copying') victim.signal('SIGUSR1');
  },
});

for (const afterDump of ['Resume', 'Kill'] as const) {
  test(`what changes while it is copied is saved as it was in the freeze: ${afterDump}`, {
    skip,
  }, async () => {
    using victim = await startVictim(buildVictim('changing'));
    const imagesDir = folder();
    let result: DumpResult | undefined;
    using restored = await throughImages(
      victim,
      async () => {
        const options = changingMeanwhile(victim);
        result = await dump(victim, imagesDir, { afterDump, options });
        if (afterDump === 'Kill') return;
        await changed(victim, 1);
        for (const { pid } of tasksOf(victim.pid)) process.kill(pid, 'SIGKILL');
      },
      () => {},
      () => restore(imagesDir),
    );
    const before = result?.preCopy?.bytes ?? 0;
    const memory = result?.trees[0]?.memoryBytes ?? 0;
    assert.ok(before > memory / 2, `${before} of ${memory} bytes were copied before the freeze`);
    await mustBeRight(restored, 1);
  });
}

test('a bundle can hold it: files and directories, no links', { skip }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  const imagesDir = folder();
  await dump(victim, imagesDir);
  assert.ok(lstatSync(join(imagesDir, 'parent')).isDirectory());
  const entries = readdirSync(imagesDir, { recursive: true, withFileTypes: true });
  const strange = entries.filter((entry) => !entry.isFile() && !entry.isDirectory());
  assert.deepEqual(strange, []);
});

test('a small application is not stopped twice for it', { skip }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  const imagesDir = folder();
  const result = await dump(victim, imagesDir, { preCopy: 'auto' });
  assert.equal(result.preCopy, undefined);
  assert.ok(!readdirSync(imagesDir).includes('parent'));
});

const criu = builtCriu();
const missing = criu ? skip : 'no CRIU: say CRIU_DIR=a source tree of CRIU 4.2, built';
test('CRIU reads it', { skip: missing }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  const imagesDir = folder();
  using restored = await throughImages(
    victim,
    async () => void (await dump(victim, imagesDir, { afterDump: 'Kill' })),
    () => {},
    async () => mustSucceed('restore', await restoreWith(criu!, imagesDir)),
  );
  await mustBeRight(restored, 0);
});

function traces(pid: number): string[] {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  const watched = readFileSync(`/proc/${pid}/smaps`, 'latin1').match(/^VmFlags:.* uw .*$/gm) ?? [];
  return [...links.filter((link) => link.includes('userfaultfd')), ...watched];
}

test('nothing is left in the application', { skip }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  await dump(victim, folder());
  assert.deepEqual(traces(victim.pid), []);
  assert.deepEqual(foreignMappings(victim.pid), []);
  await mustBeRight(victim, 0);
});

describe('the engine is killed', { skip }, () => {
  for (const stage of ['pre-copying', 'seizing', 'preparing', 'frozen', 'thawed'] as const) {
    test(`at the stage ${stage}`, async () => {
      using victim = await startVictim(buildVictim('changing'));
      const task = dumpTask(victim.pid, folder(), { preCopy: 'always' });
      const { signal } = await startEngine(task, {
        onEvent: (event, engine) => {
          if (event.event === 'stage' && event.stage === stage) engine.kill();
        },
      }).ended;
      assert.equal(signal, 'SIGKILL');
      assert.deepEqual(traces(victim.pid), []);
      await mustBeRight(victim, 0);
    });
  }
});
