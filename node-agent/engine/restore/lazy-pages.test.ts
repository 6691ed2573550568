// Programs that run before their memory is there: whatever they do with missing pages, and whatever happens to those who bring
// them, they never see another byte than the saved one.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { diapause } from '../../../test/victims/criu-command.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim, watch } from '../../../test/victims/victim.ts';
import { canWatchWrites } from '../linux/userfaultfd.ts';
import type { DumpTask, RestoreResult } from '../protocol.ts';

enterPrivateNamespaces();

const MEBIBYTES = 256;
const MOST_RESTARTS = 6;
/** Whether the server is seen is a matter of chance: of so many times it is not always. */
const FEW_PAGES_ROUNDS = 4;
const END_MILLIS = 20_000;
const NOTHING_HAPPENS_MILLIS = 300;
const base = mkdtempSync(join(tmpdir(), 'diapause-lazy-'));
after(() => rmSync(base, { recursive: true, force: true }));

const skip = existsSync('/dev/userfaultfd') ? false : 'no /dev/userfaultfd here (Linux 6.1)';

const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

type Ordeal = 'threads' | 'forks' | 'moves' | 'calls';

/** A victim that is saved and ended; its ordeal begins as soon as it runs again. */
class Saved implements Disposable {
  readonly imagesDir: string;
  readonly victim: Victim;

  private constructor(victim: Victim, imagesDir: string) {
    this.victim = victim;
    this.imagesDir = imagesDir;
  }

  static async make(ordeal: Ordeal, mebibytes = MEBIBYTES): Promise<Saved> {
    const victim = await startVictim(buildVictim('lazy'), [String(mebibytes), ordeal]);
    const saved = new Saved(victim, mkdtempSync(join(base, 'images-')));
    await saved.dump({ afterDump: 'Kill' });
    writeFileSync(join(victim.dir, 'go'), '');
    return saved;
  }

  async dump(more: Partial<DumpTask>): Promise<void> {
    const end = await startEngine(dumpTask(this.victim.pid, this.imagesDir, more)).ended;
    assert.equal(end.failure?.message, undefined, end.stderr);
  }

  get logFile(): string {
    return join(this.imagesDir, 'lazy.log');
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  /** @param atThreads what is done when the pages are served and the processes do not run yet */
  restore(atThreads: () => void = () => {}): Promise<EngineEnd> {
    const trees = [{ name: 'victim', imagesDir: this.imagesDir }];
    const lazyPages = { logFile: this.logFile };
    return startEngine(
      { type: 'restore', trees, leaveStopped: false, lazyPages },
      {
        onEvent: (event) => {
          if (event.event === 'stage' && event.stage === 'opening-files') atThreads();
        },
      },
    ).ended;
  }

  restored(): Victim {
    return watch(this.victim.pid, this.victim.dir, join(this.victim.dir, 'out'));
  }

  [Symbol.dispose](): void {
    this.victim[Symbol.dispose]();
  }
}

function mustBeRestored({ failure, restored, stderr }: EngineEnd): RestoreResult {
  assert.equal(failure?.message, undefined, stderr);
  assert.ok(restored);
  return restored;
}

/** Of a program's name, in this pid namespace; zombies are not. */
function pidsOf(name: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && statusOf(pid)?.name === name);
}

function statusOf(pid: number): { readonly name: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    if (/^State:\s*Z/m.test(text)) return undefined;
    const name = /^Name:\s*(.*)$/m.exec(text)![1]!;
    return { name, parent: Number(/^PPid:\s*(\d+)/m.exec(text)![1]) };
  } catch {
    return undefined;
  }
}

const servers = (): number[] => pidsOf('diapause-pages');

/** The one who serves is a child of the one who holds. */
function findRoles(): { readonly holder: number; readonly serving: number } | undefined {
  const pids = servers();
  const serving = pids.find((pid) => pids.includes(statusOf(pid)?.parent ?? 0));
  const holder = statusOf(serving ?? 0)?.parent;
  return serving === undefined || holder === undefined ? undefined : { holder, serving };
}

/** Who has ended meanwhile gets none. */
function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids.filter((one) => statusOf(one) !== undefined)) process.kill(pid, signal);
}

async function until(what: string, ask: () => boolean): Promise<void> {
  for (const end = Date.now() + END_MILLIS; !ask(); await pause(10)) {
    assert.ok(Date.now() < end, what);
  }
}

/** Or there is nothing left to do. Who kills the other one before that takes the memory away. */
const untilReplaced = (killed: number): Promise<void> =>
  until(`nobody has taken the place of ${killed}`, () => {
    const now = servers();
    return !now.includes(killed) && now.length !== 1;
  });

const allHaveEnded = (): Promise<void> =>
  until('a page server is still there', () => servers().length === 0);

const watchedAreas = (pid: number): number =>
  [...readFileSync(`/proc/${pid}/smaps`, 'latin1').matchAll(/^VmFlags:.* um\b/gm)].length;

for (const ordeal of ['threads', 'forks', 'moves', 'calls'] as const) {
  test(`all memory is right: ${ordeal}`, { skip }, async () => {
    using saved = await Saved.make(ordeal);
    const { lazy } = mustBeRestored(await saved.restore());
    assert.ok(lazy && lazy.bytes >= MEBIBYTES << 20, JSON.stringify(lazy));
    using restored = saved.restored();
    assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
    await allHaveEnded();
    assert.equal(saved.log(), '');
  });
}

test('all pages may be there before anybody looks for their server', { skip }, async () => {
  for (let i = 0; i < FEW_PAGES_ROUNDS; i++) {
    using saved = await Saved.make('threads', 1);
    mustBeRestored(await saved.restore());
    using restored = saved.restored();
    assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
    await allHaveEnded();
  }
});

test('by the command: without a daemon, and nobody waits for the pages', { skip }, async () => {
  using saved = await Saved.make('threads');
  const args = ['restore', '-D', saved.imagesDir, '--restore-detached', '--lazy-pages'];
  // The server would hold them open, if it had them: this waits for their end.
  const { status, stderr } = spawnSync(diapause.path, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  using restored = saved.restored();
  assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
  await allHaveEnded();
  assert.equal(readFileSync(join(saved.imagesDir, 'lazy-pages.log'), 'utf8'), '');
});

test('nobody misses pages whose server stands still, and a dump is refused', { skip }, async () => {
  using saved = await Saved.make('threads');
  let stopped: number[] = [];
  mustBeRestored(await saved.restore(() => signalAll((stopped = servers()), 'SIGSTOP')));
  assert.equal(stopped.length, 2);
  using restored = saved.restored();
  await restored.waitForLine(/^begun/);
  await pause(NOTHING_HAPPENS_MILLIS);
  assert.doesNotMatch(restored.output(), /verdict/);
  assert.ok(watchedAreas(restored.pid) > 0);
  const imagesDir = mkdtempSync(join(base, 'refused-'));
  const { failure } = await startEngine(dumpTask(restored.pid, imagesDir)).ended;
  assert.equal(failure?.findings?.[0]?.code, 'Userfaultfd');
  signalAll(stopped, 'SIGCONT');
  assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
  await allHaveEnded();
});

for (const ordeal of ['threads', 'forks', 'moves'] as const) {
  test(`servers and holders are killed: ${ordeal}`, { skip }, async () => {
    using saved = await Saved.make(ordeal);
    // With the first pages missing, whatever else the machine does.
    mustBeRestored(await saved.restore(() => signalAll(servers(), 'SIGSTOP')));
    using restored = saved.restored();
    await restored.waitForLine(/^begun/);
    const first = findRoles()!;
    signalAll([first.serving], 'SIGKILL');
    signalAll([first.holder], 'SIGCONT');
    await untilReplaced(first.serving);
    for (let i = 0; i < MOST_RESTARTS; i++) {
      const roles = findRoles();
      if (!roles) break; // they are done
      const victim = i % 2 ? roles.serving : roles.holder;
      signalAll([victim], 'SIGKILL');
      await untilReplaced(victim);
    }
    assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
    await allHaveEnded();
    assert.equal(saved.log(), '');
  });
}

for (const ordeal of ['calls', 'forks'] as const) {
  test(`pages that are lost end the program: ${ordeal}`, { skip }, async () => {
    using saved = await Saved.make(ordeal);
    let stopped: number[] = [];
    mustBeRestored(await saved.restore(() => signalAll((stopped = servers()), 'SIGSTOP')));
    using restored = saved.restored();
    truncateSync(join(saved.imagesDir, 'pages-1.img'), (MEBIBYTES / 2) << 20);
    signalAll(stopped, 'SIGCONT');
    await until('a process without its memory is still there', () => pidsOf('lazy').length === 0);
    await allHaveEnded();
    assert.doesNotMatch(restored.output(), /verdict/);
    // Only a child of its own may have seen one: nobody knows its pid.
    if (ordeal === 'calls') assert.doesNotMatch(restored.output(), /touched a lost page/);
    assert.match(saved.log(), /saved pages cannot be read: the restored processes are killed/);
  });
}

test('a file that is too short fails the restore, and nothing is left', { skip }, async () => {
  using saved = await Saved.make('threads');
  truncateSync(join(saved.imagesDir, 'pages-1.img'), (MEBIBYTES / 2) << 20);
  const { failure } = await saved.restore();
  assert.match(failure?.message ?? '', /pages-1.img.*ends before byte/);
  assert.deepEqual([...servers(), ...pidsOf('lazy')], []);
});

test('where it is not to be had, all memory is there before', { skip }, async () => {
  using saved = await Saved.make('threads');
  execFileSync('mount', ['--bind', '/dev/null', '/dev/userfaultfd']);
  try {
    const { lazy, findings } = mustBeRestored(await saved.restore());
    assert.equal(lazy, undefined);
    assert.ok(
      findings.some(({ code }) => code === 'LazyPagesUnavailable'),
      JSON.stringify(findings),
    );
    using restored = saved.restored();
    assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
  } finally {
    execFileSync('umount', ['/dev/userfaultfd']);
  }
});

test('pages that lie in older images', {
  skip: skip || (canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)'),
}, async () => {
  const chain = mkdtempSync(join(base, 'chain-'));
  using victim = await startVictim(buildVictim('lazy'), [String(MEBIBYTES), 'threads']);
  const task = (name: string, more: Partial<DumpTask>): DumpTask => {
    mkdirSync(join(chain, name));
    return dumpTask(victim.pid, join(chain, name), more);
  };
  const nextFile = join(chain, 'tracking.json');
  const first = await startEngine(task('1', { tracking: { nextFile } })).ended;
  assert.equal(first.failure?.message, undefined, first.stderr);
  const imagesDir = join(chain, '2');
  const trees = [{ name: 'victim', rootPid: victim.pid, imagesDir, parent: '../1' }];
  const tracking = { previousFile: nextFile };
  const second = await startEngine(task('2', { afterDump: 'Kill', trees, tracking })).ended;
  assert.equal(second.failure?.message, undefined, second.stderr);
  assert.ok((second.result?.trees[0]?.memoryBytes ?? 0) < (MEBIBYTES << 20) / 2);
  writeFileSync(join(victim.dir, 'go'), '');
  const lazyPages = { logFile: join(chain, 'log') };
  const restore = { type: 'restore', trees: [{ name: 'victim', imagesDir }] } as const;
  const end = await startEngine({ ...restore, leaveStopped: false, lazyPages }).ended;
  assert.ok((mustBeRestored(end).lazy?.bytes ?? 0) >= MEBIBYTES << 20);
  using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  assert.equal(await restored.waitForLine(/^verdict/), 'verdict wrong 0');
  await allHaveEnded();
});
