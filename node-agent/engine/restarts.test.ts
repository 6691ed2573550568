// 29 kinds of blocked system calls through a dump, and through a dump and a restore: no answer is another one than without.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { throughImages } from '../../test/victims/cases.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const KINDS = 29;
const SLEEP_MILLIS = 2000;
const LONG_SLEEP_MILLIS = 50_000;
const WAIT_MILLIS = 30_000;
const base = mkdtempSync(join(tmpdir(), 'diapause-restarts-'));
after(() => rmSync(base, { recursive: true, force: true }));

type Ordeal = 'nothing' | 'dumped' | 'dumped and restored' | 'dumped twice and restored';

function mustEndWell({ failure, status, stderr }: EngineEnd): void {
  assert.equal(failure?.message, undefined);
  assert.equal(status, 0, stderr);
}

async function through(victim: Victim, ordeal: Ordeal): Promise<Victim> {
  if (ordeal === 'nothing') return victim;
  const imagesDir = mkdtempSync(join(base, 'images-'));
  const dump = async (afterDump: 'Resume' | 'Kill'): Promise<void> =>
    mustEndWell(await startEngine(dumpTask(victim.pid, imagesDir, { afterDump })).ended);
  if (ordeal === 'dumped') {
    await dump('Resume');
    return victim;
  }
  // The second dump finds its sleeping threads in restart_syscall(2).
  if (ordeal === 'dumped twice and restored') await dump('Resume');
  const trees = [{ name: 'victim', imagesDir }];
  return throughImages(
    victim,
    () => dump('Kill'),
    () => {},
    async () =>
      mustEndWell(await startEngine({ type: 'restore', trees, leaveStopped: false }).ended),
  );
}

const ANSWER = /^(WRONG|ok) (\w+) result (-?\d+) errno (\d+)/;
/** Answers until now, `name ok` or `name errno N`. Wrong ones are marked. */
function answers(victim: Victim): string[] {
  return victim
    .output()
    .split('\n')
    .flatMap((line) => {
      const [, verdict, name, result, errno] = ANSWER.exec(line) ?? [];
      if (name === undefined) return [];
      return [`${verdict} ${name} ${Number(result) < 0 ? `errno ${errno}` : 'ok'}`];
    })
    .toSorted();
}

async function until(what: string, done: () => boolean): Promise<void> {
  for (const end = Date.now() + WAIT_MILLIS; !done(); ) {
    if (Date.now() > end) throw new Error(what);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The calls that give up by themselves, in their own time. */
const TIMED = 16;

/** Takes a victim through an ordeal in the middle of its calls, and says what they answered. */
async function answersAfter(ordeal: Ordeal, handler: readonly string[]): Promise<string[]> {
  // With a handler everything must still be waiting when it runs, however slow the machine.
  const millis = handler.length > 0 ? LONG_SLEEP_MILLIS : SLEEP_MILLIS;
  using victim = await startVictim(buildVictim('restarts'), [String(millis), ...handler]);
  using survivor = await through(victim, ordeal);
  const missing = (count: number): string =>
    `only ${answers(survivor).length} of ${count} calls answered:\n${survivor.output()}`;
  if (handler.length === 0) await until(missing(TIMED), () => answers(survivor).length >= TIMED);
  else assert.deepEqual(answers(survivor), [], 'answered before anything happened');
  survivor.signal('SIGUSR1');
  await until(missing(KINDS), () => answers(survivor).length >= KINDS);
  survivor.signal('SIGTERM');
  const verdict = await survivor.waitForLine(/^verdict/);
  assert.equal(verdict, `verdict wrong 0 done ${KINDS} of ${KINDS}`, survivor.output());
  return answers(survivor);
}

for (const [how, handler] of [
  ['no handler', []],
  ['a handler', ['handler']],
  ['a handler that restarts calls', ['restart']],
] as const) {
  describe(`${KINDS} kinds of blocked calls, ${how}`, () => {
    let expected: string[] = [];
    test('as the kernel does it', async () => {
      expected = await answersAfter('nothing', handler);
      assert.equal(expected.length, KINDS);
    });
    for (const ordeal of ['dumped', 'dumped and restored', 'dumped twice and restored'] as const) {
      test(ordeal, async () => assert.deepEqual(await answersAfter(ordeal, handler), expected));
    }
  });
}
