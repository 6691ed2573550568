// Dumps that build on one another: only what has changed is saved, and what is restored is the last moment, every page of it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { throughImages } from '../../test/victims/cases.ts';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';
import type { AfterDump, DumpResult } from './protocol.ts';

enterPrivateNamespaces();

/** Odd: with the last one pages of a file were given back just before the end. */
const ROUNDS = 5;
/** What they write is more than a freeze should copy. */
const MANY_ROUNDS = 9;
/** Of 16 GiB, of which one page is there, each page of a table would cost 32 MiB. */
const MOST_GROWTH_KIB = 1024;
const skip = canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)';
const base = mkdtempSync(join(tmpdir(), 'diapause-incremental-'));
after(() => rmSync(base, { recursive: true, force: true }));

/** Directories of one chain: `1`, `2` ... beside one another. */
class Chain {
  readonly #folder = mkdtempSync(join(base, 'chain-'));
  #length = 0;

  get imagesDir(): string {
    return join(this.#folder, String(this.#length));
  }

  trackingFile(number = this.#length): string {
    return join(this.#folder, `tracking-${number}.json`);
  }

  /** @returns bytes of pages that were saved here */
  async dump(victim: Victim, afterDump: AfterDump = 'Resume'): Promise<number> {
    return (await this.dumpWell(victim, afterDump)).trees[0]?.memoryBytes ?? -1;
  }

  async dumpWell(victim: Victim, afterDump: AfterDump = 'Resume'): Promise<DumpResult> {
    const previous = this.#length;
    this.#length++;
    mkdirSync(this.imagesDir);
    const parent = previous === 0 ? {} : { parent: `../${previous}` };
    const task = dumpTask(victim.pid, this.imagesDir, {
      afterDump,
      trees: [{ name: 'victim', rootPid: victim.pid, imagesDir: this.imagesDir, ...parent }],
      tracking: {
        ...(previous === 0 ? {} : { previousFile: this.trackingFile(previous) }),
        ...(afterDump === 'Resume' ? { nextFile: this.trackingFile() } : {}),
      },
    });
    const { failure, result, stderr } = await startEngine(task).ended;
    assert.equal(failure?.message, undefined, stderr);
    assert.ok(result);
    return result;
  }

  async restore(): Promise<void> {
    const trees = [{ name: 'victim', imagesDir: this.imagesDir }];
    const { failure, stderr } = await startEngine({ type: 'restore', trees, leaveStopped: false })
      .ended;
    assert.equal(failure?.message, undefined, stderr);
  }
}

async function changed(victim: Victim, round: number): Promise<void> {
  victim.signal('SIGUSR1');
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

test('a chain of dumps is restored as its last moment', { skip }, async () => {
  const chain = new Chain();
  using victim = await startVictim(buildVictim('changing'));
  const whole = await chain.dump(victim);
  for (let round = 1; round <= ROUNDS; round++) {
    await changed(victim, round);
    const bytes = await chain.dump(victim);
    assert.ok(bytes < whole / 5, `${bytes} of ${whole} bytes in dump ${round + 1}`);
  }
  await changed(victim, ROUNDS + 1);
  using restored = await throughImages(
    victim,
    async () => void (await chain.dump(victim, 'Kill')),
    () => {},
    () => chain.restore(),
  );
  await mustBeRight(restored, ROUNDS + 1);
});

test('what has changed is copied before the freeze', { skip }, async () => {
  const chain = new Chain();
  using victim = await startVictim(buildVictim('changing'));
  await chain.dump(victim);
  for (let round = 1; round <= MANY_ROUNDS; round++) await changed(victim, round);
  const { preCopy } = await chain.dumpWell(victim);
  assert.ok(preCopy && preCopy.rounds > 0, JSON.stringify(preCopy));
  assert.ok(preCopy.dirtyBytes < preCopy.bytes / 10, JSON.stringify(preCopy));
  await changed(victim, MANY_ROUNDS + 1);
  using restored = await throughImages(
    victim,
    async () => void (await chain.dump(victim, 'Kill')),
    () => {},
    () => chain.restore(),
  );
  await mustBeRight(restored, MANY_ROUNDS + 1);
});

test('memory that is only reserved costs nothing', { skip }, async () => {
  const chain = new Chain();
  using victim = await startVictim(buildVictim('changing'));
  const before = pageTableKib(victim.pid);
  await chain.dump(victim);
  await chain.dump(victim);
  const grown = pageTableKib(victim.pid) - before;
  assert.ok(grown < MOST_GROWTH_KIB, `page tables have grown by ${grown} KiB`);
});

function pageTableKib(pid: number): number {
  return Number(/^VmPTE:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

test('without the watch everything is saved', { skip }, async () => {
  const chain = new Chain();
  using victim = await startVictim(buildVictim('changing'));
  const whole = await chain.dump(victim);
  const { holder } = JSON.parse(readFileSync(chain.trackingFile(), 'utf8'));
  process.kill(holder.pid, 'SIGKILL');
  await changed(victim, 1);
  assert.ok((await chain.dump(victim)) >= whole / 2);
  await mustBeRight(victim, 1);
});

test('a file that names another process harms nobody', { skip }, async () => {
  const chain = new Chain();
  using victim = await startVictim(buildVictim('changing'));
  using bystander = await startVictim(buildVictim('changing'));
  await chain.dump(victim);
  const file = chain.trackingFile();
  const { holder, processes } = JSON.parse(readFileSync(file, 'utf8'));
  const startTime = (pid: number): string =>
    readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19]!;
  const pid = bystander.pid;
  writeFileSync(file, JSON.stringify({ holder: { pid, startTime: startTime(pid) }, processes }));
  await chain.dump(victim);
  assert.ok(bystander.alive());
  assert.ok(existsSync(`/proc/${holder.pid}`));
  process.kill(holder.pid, 'SIGKILL');
  await mustBeRight(victim, 0);
});

test('the watch ends with the application', { skip }, async () => {
  const chain = new Chain();
  const victim = await startVictim(buildVictim('changing'));
  await chain.dump(victim);
  const { holder } = JSON.parse(readFileSync(chain.trackingFile(), 'utf8'));
  victim[Symbol.dispose]();
  for (const end = Date.now() + 10_000; running(holder.pid); ) {
    assert.ok(Date.now() < end, 'the holder is still there');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

/** A zombie is not: whoever is init here collects it in its own time. */
function running(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
