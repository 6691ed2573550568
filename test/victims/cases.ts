// Victims that verify themselves after a dump and a restore, by whoever: what to ask before, what must be true afterwards.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { complaints, mustBeWell, nextLine, NOTHING, tasksOf } from './health.ts';
import { type Victim, watch } from './victim.ts';

export interface Case {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** why CRIU 4.2 cannot carry it, where that is known (docs/compatibility.md) */
  readonly notByCriu?: string;
  /** asked before the dump */
  ask?(victim: Victim): Promise<readonly string[]>;
  /** dumped and ended, not restored yet */
  meanwhile?(victim: Victim): void;
  /** @throws Error that says what was not carried over */
  verify(victim: Victim, before: readonly string[], forgiven: Forgiven): Promise<void>;
}

/** What is known not to be carried over, and is not the fault of who is tested. */
export interface Forgiven {
  /** complaints of the victim */
  readonly wrong: RegExp;
  /** lines of a report that may differ */
  readonly lost: RegExp;
}

export const FORGIVE_NOTHING: Forgiven = { wrong: NOTHING, lost: NOTHING };
/**
 * CRIU ends sleeps with EINTR, gives each thread a copy of a filter that they shared, takes seven bits of an exit code, and
 * leaves the rest out of its images (or, restoring, does not look for our fields). The list is in docs/compatibility.md.
 */
export const FORGIVE_CRIU: Forgiven = {
  wrong:
    /^WRONG (synchronised: |zombie's status: |(nanosleep|usleep|usleep in a thread|poll|futex|futex error|io_getevents in a thread): .*errno 4$)/,
  lost: /^(personality|coredump-filter|affinity|timer-slack|io-priority) /,
};

const WAIT_MILLIS = 10_000;
const pause = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis));

async function mustSay(
  victim: Victim,
  signal: NodeJS.Signals,
  answer: RegExp,
  want: RegExp,
): Promise<void> {
  const line = await nextLine(victim, answer, () => victim.signal(signal));
  assert.match(line, want, victim.output().slice(-2000));
}

async function verdict(victim: Victim, { wrong }: Forgiven): Promise<void> {
  const line = await nextLine(victim, /^verdict/, () => victim.signal('SIGTERM'));
  const found = complaints(victim);
  assert.deepEqual(
    found.filter((complaint) => !wrong.test(complaint)),
    [],
  );
  assert.match(line, new RegExp(`^verdict wrong ${found.length}\\b`));
}

/** The lines of one whole report, without their number. */
async function report(victim: Victim, last: RegExp): Promise<string[]> {
  const end = await nextLine(victim, last, () => victim.signal('SIGUSR1'));
  const number = /^report \d+ /.exec(end)![0];
  return victim
    .output()
    .split('\n')
    .filter((line) => line.startsWith(number) && line !== end)
    .map((line) => line.slice(number.length));
}

const FUTEX_OWNER_DIED = 0x40000000;

function lockWord(victim: Victim): number {
  return readFileSync(join(victim.dir, 'robust.data')).readUInt32LE(0);
}

const areas = (line: string): string =>
  line.replace(/^report \d+ wall none children none sigchld 0 /, '');
const hashAreas = (victim: Victim): Promise<string> =>
  nextLine(victim, /^report /, () => victim.signal('SIGUSR1'));

export const CASES: readonly Case[] = [
  {
    name: 'threads count on, their memory is the same',
    program: 'counter',
    args: ['8'],
    async verify(victim) {
      await mustSay(victim, 'SIGUSR1', /^count/, /checksum same$/);
      const counts = (line: string): number[] => line.match(/\d+/g)!.slice(0, 3).map(Number);
      const first = counts(await nextLine(victim, /^count/, () => victim.signal('SIGUSR1')));
      await pause(50);
      const second = counts(await nextLine(victim, /^count/, () => victim.signal('SIGTERM')));
      assert.ok(
        second.every((count, i) => count > first[i]!),
        `${first.join(' ')} then ${second.join(' ')}`,
      );
    },
  },
  {
    name: 'registers, flags, FPU and vector state of running threads',
    program: 'steady',
    args: ['plain'],
    verify: (victim, _, forgiven) => mustBeWell(victim, 0, forgiven.wrong),
  },
  {
    name: 'every kind of memory area',
    program: 'areas',
    args: [],
    ask: async (victim) => [areas(await hashAreas(victim))],
    async verify(victim, before) {
      assert.deepEqual(areas(await hashAreas(victim)).split(' '), before[0]!.split(' '));
    },
  },
  {
    name: 'pending signals with their values, in order',
    program: 'pending',
    args: [],
    verify: (victim, _, forgiven) => verdict(victim, forgiven),
  },
  {
    name: 'a pending SIGTRAP',
    program: 'pending',
    args: ['trap'],
    notByCriu: 'CRIU refuses to dump a pending SIGTRAP',
    verify: (victim, _, forgiven) => verdict(victim, forgiven),
  },
  {
    name: 'interval timers, POSIX timers, timerfds',
    program: 'timers',
    args: [],
    verify: (victim, _, forgiven) => mustBeWell(victim, 0, forgiven.wrong),
  },
  {
    name: 'robust mutexes whose owner dies after the restore',
    program: 'robust',
    args: [],
    ask: async (victim) => [String(lockWord(victim))],
    meanwhile(victim) {
      // CRIU issue #3095: the kernel must not have marked the lock when the dumped tasks were ended.
      assert.equal(lockWord(victim) & FUTEX_OWNER_DIED, 0, 'the dump marked the lock in the file');
    },
    async verify(victim, before, forgiven) {
      assert.equal(String(lockWord(victim)), before[0]);
      await nextLine(victim, /^taken over/, () => victim.signal('SIGUSR1'));
      await verdict(victim, forgiven);
    },
  },
  {
    name: 'rseq, alternate stacks, names, priorities, limits, umask, cwd and whatever else tells processes apart',
    program: 'identity',
    args: [],
    ask: (victim) => report(victim, /^report \d+ end$/),
    async verify(victim, before, { lost }) {
      const kept = (lines: readonly string[]): string[] => lines.filter((line) => !lost.test(line));
      assert.deepEqual(kept(await report(victim, /^report \d+ end$/)), kept(before));
    },
  },
  {
    name: 'rings of asynchronous I/O with events that nobody took',
    program: 'aio',
    args: [],
    ask: (victim) => report(victim, /^report \d+ end$/),
    async verify(victim, before, forgiven) {
      assert.deepEqual(await report(victim, /^report \d+ end$/), before);
      await verdict(victim, forgiven);
    },
  },
  {
    name: 'scheduling policies, deadlines among them',
    program: 'scheduling',
    args: [],
    notByCriu: 'CRIU refuses to restore SCHED_DEADLINE',
    ask: (victim) => report(victim, /^report \d+ end$/),
    async verify(victim, before, forgiven) {
      assert.deepEqual(await report(victim, /^report \d+ end$/), before);
      await verdict(victim, forgiven);
    },
  },
  {
    name: 'seccomp filters of each thread, strict mode, threads that share a filter',
    program: 'seccomp',
    args: [],
    ask: (victim) => report(victim, /^report \d+ end$/),
    async verify(victim, before, forgiven) {
      assert.deepEqual(await report(victim, /^report \d+ end$/), before);
      await verdict(victim, forgiven);
    },
  },
  {
    name: 'sessions, groups, zombies and a stopped process',
    program: 'tree',
    args: [],
    ask: (victim) => report(victim, /^report \d+ ticks/),
    async verify(victim, before, forgiven) {
      const parents = (lines: readonly string[]): string[] =>
        // An orphan's parent is whoever restored it, until that has ended.
        lines.map((line) => line.replace(/^root pid (\d+) parent \d+/, 'root pid $1'));
      assert.deepEqual(parents(await report(victim, /^report \d+ ticks/)), parents(before));
      await mustBeWell(victim, 1, forgiven.wrong);
      await verdict(victim, forgiven);
    },
  },
];

/**
 * Takes a victim through a dump that ends it and a restore.
 *
 * @param dump images into a directory; the victim must have ended afterwards
 * @returns the restored victim, same pid, same output file
 */
export async function throughImages(
  victim: Victim,
  dump: () => Promise<void>,
  meanwhile: () => void,
  restore: () => Promise<void>,
): Promise<Victim> {
  const pids = [...new Set(tasksOf(victim.pid).flatMap(({ pid, tid }) => [pid, tid]))];
  await dump();
  await allGone(pids);
  meanwhile();
  await restore();
  return watch(victim.pid, victim.dir, join(victim.dir, 'out'));
}

/** A pid is free when its process is reaped; whoever is init here does that in its own time. */
async function allGone(pids: readonly number[]): Promise<void> {
  const left = (): number[] => pids.filter((pid) => existsSync(`/proc/${pid}`));
  for (const end = Date.now() + WAIT_MILLIS; left().length > 0; await pause(2)) {
    if (Date.now() > end) throw new Error(`still there after the dump: ${left().join(', ')}`);
  }
}
