// Rounds of copying before the freeze, as many as whoever has started the engine wants: what is restored is the moment of the
// freeze, and an engine that is left alone leaves the application alone.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, test } from 'node:test';
import { throughImages } from '../../test/victims/cases.ts';
import { builtCriu, mustSucceed, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, type RunningEngine, startEngine } from '../../test/victims/engine-process.ts';
import { foreignMappings, tasksOf } from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';
import type { AfterDump, CopiedRound, DumpResult, EngineEvent } from './protocol.ts';

enterPrivateNamespaces();

const skip = canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)';
const MOST = 5;
const base = mkdtempSync(join(tmpdir(), 'diapause-rounds-'));
after(() => rmSync(base, { recursive: true, force: true }));
const folder = (): string => mkdtempSync(join(base, 'images-'));

interface Rounds {
  readonly copied: CopiedRound[];
  readonly dirtyBytes: number[];
  readonly result: DumpResult;
}

/** After each round the victim changes itself; after the last one it is looked at, and frozen. */
async function dumpInRounds(
  victim: Victim,
  imagesDir: string,
  how: { readonly rounds: number; readonly afterDump: AfterDump },
): Promise<Rounds> {
  const copied: CopiedRound[] = [];
  const dirtyBytes: number[] = [];
  const goOn = async (event: EngineEvent, engine: RunningEngine): Promise<void> => {
    if (event.event === 'round') {
      copied.push(event.round);
      victim.signal('SIGUSR1');
      await changed(victim, copied.length);
      engine.tell({ do: 'look' });
    }
    if (event.event === 'dirty') {
      dirtyBytes.push(event.bytes);
      engine.tell({ do: copied.length < how.rounds ? 'copy' : 'freeze' });
    }
  };
  const task = dumpTask(victim.pid, imagesDir, {
    afterDump: how.afterDump,
    establishedSockets: 'Fail',
    preCopy: 'always',
    rounds: { most: MOST },
  });
  const { failure, result, stderr } = await startEngine(task, {
    onEvent: (event, engine) => void goOn(event, engine),
  }).ended;
  assert.equal(failure?.message, undefined, stderr);
  assert.ok(result);
  return { copied, dirtyBytes, result };
}

async function changed(victim: Victim, round: number): Promise<void> {
  await victim.waitForLine(new RegExp(`^parent round ${round}$`));
  await victim.waitForLine(new RegExp(`^child round ${round}$`));
}

async function restore(imagesDir: string): Promise<void> {
  const trees = [{ name: 'victim', imagesDir }];
  const task = { type: 'restore', trees, leaveStopped: false } as const;
  const { failure, stderr } = await startEngine(task).ended;
  assert.equal(failure?.message, undefined, stderr);
}

async function mustBeRight(victim: Victim, rounds: number): Promise<void> {
  victim.signal('SIGTERM');
  const expected = `verdict wrong 0 after ${rounds} rounds`;
  const said = await Promise.all(
    ['parent', 'child'].map((who) => victim.waitForLine(new RegExp(`^${who} verdict`))),
  );
  assert.deepEqual(said, [`parent ${expected}`, `child ${expected}`], victim.output());
}

for (const rounds of [1, 3, MOST]) {
  for (const afterDump of ['Kill', 'Resume'] as const) {
    test(`${rounds} of at most ${MOST} rounds: ${afterDump}`, { skip }, async () => {
      using victim = await startVictim(buildVictim('changing'));
      const imagesDir = folder();
      let seen: Rounds | undefined;
      using restored = await throughImages(
        victim,
        async () => {
          seen = await dumpInRounds(victim, imagesDir, { rounds, afterDump });
          if (afterDump === 'Kill') return;
          for (const { pid } of tasksOf(victim.pid)) process.kill(pid, 'SIGKILL');
        },
        () => {},
        () => restore(imagesDir),
      );
      assert.ok(seen);
      const { copied, dirtyBytes, result } = seen;
      assert.deepEqual(
        copied.map(({ number }) => number),
        Array.from({ length: rounds }, (_, i) => i + 1),
      );
      // What runs on is copied once more, into memory of the engine.
      const inMemory = afterDump === 'Resume' ? 1 : 0;
      assert.equal(result.preCopy?.rounds, rounds + inMemory);
      const [first, ...others] = copied.map(({ bytes }) => bytes);
      const most = (first ?? 0) / 8;
      assert.ok(
        [...others, ...dirtyBytes].every((bytes) => bytes > 0 && bytes < most),
        `of ${first} bytes ${others.join(', ')} were copied again, ${dirtyBytes.join(', ')} seen`,
      );
      await mustBeRight(restored, rounds);
    });
  }
}

const criu = builtCriu();
const missing = criu ? skip : 'no CRIU: say CRIU_DIR=a source tree of CRIU 4.2, built';
test('CRIU reads them', { skip: missing }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  const imagesDir = folder();
  using restored = await throughImages(
    victim,
    async () => void (await dumpInRounds(victim, imagesDir, { rounds: 2, afterDump: 'Kill' })),
    () => {},
    async () => mustSucceed('restore', await restoreWith(criu!, imagesDir)),
  );
  await mustBeRight(restored, 2);
});

test('an engine whose agent is gone leaves the application alone', { skip }, async () => {
  using victim = await startVictim(buildVictim('changing'));
  const rounds = { most: MOST };
  const { failure } = await startEngine(
    dumpTask(victim.pid, folder(), { afterDump: 'Kill', preCopy: 'always', rounds }),
    { onEvent: ({ event }, engine) => event === 'round' && engine.hangUp() },
  ).ended;
  assert.match(failure?.message ?? '', /has gone/);
  assert.deepEqual(foreignMappings(victim.pid), []);
  await mustBeRight(victim, 0);
});

test('memory that came between two rounds is copied in the next one', { skip }, async () => {
  using victim = await startVictim(buildVictim('growing'));
  const imagesDir = folder();
  const copied: number[] = [];
  const task = dumpTask(victim.pid, imagesDir, { preCopy: 'always', rounds: { most: MOST } });
  const goOn = async (event: EngineEvent, engine: RunningEngine): Promise<void> => {
    if (event.event !== 'round') return;
    copied.push(event.round.bytes);
    victim.signal('SIGUSR1');
    await victim.waitForLine(/^grown$/);
    engine.tell({ do: copied.length < 2 ? 'copy' : 'freeze' });
  };
  const { failure, stderr } = await startEngine(task, {
    onEvent: (event, engine) => void goOn(event, engine),
  }).ended;
  assert.equal(failure?.message, undefined, stderr);
  assert.ok((copied[1] ?? 0) >= 8 << 20, `${copied.join(', ')} bytes were copied`);
});
