// SIGKILL of the engine, at every stage, at every step and at any time: the application goes on as if nothing had been.
// CRASH_SECONDS and CRASH_SEED in the environment make it look longer, or elsewhere.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  complaints,
  describe as describeVictim,
  descriptorsOf,
  foreignMappings,
  identities,
  mustBeWell,
  tasksOf,
} from '../../test/victims/health.ts';
import {
  Dumps,
  killedAtStep,
  kills,
  type Random,
  randomFrom,
  STAGES,
} from '../../test/victims/killed-dumps.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';
import { canWatchWrites } from './linux/userfaultfd.ts';

enterPrivateNamespaces();

const SECONDS = Number(process.env['CRASH_SECONDS'] ?? 60);
const SEED = Number(process.env['CRASH_SEED'] ?? 1);
const MAX_HURT = 5;
/** Of the steps before the freeze one in so many is tried; with other seeds the others. */
const STRIDE = SECONDS >= 300 ? 1 : 4;
/** for one subject; two at a time */
const SHARE_SECONDS = (SECONDS * 2) / 10;
interface Subject {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** processes of it that are stopped anyway */
  readonly stopped: number;
  /** is what changes between two dumps watched? */
  readonly tracked?: boolean;
}

const steady = (mode: string): Subject => ({
  name: `signals ${mode}`,
  program: 'steady',
  args: [mode],
  stopped: 0,
});
const SUBJECTS: readonly Subject[] = [
  steady('plain'),
  steady('caught'),
  steady('ignored'),
  steady('blocked'),
  {
    name: 'no memory writable and executable',
    program: 'forbids',
    args: ['write-execute'],
    stopped: 0,
  },
  { name: 'process tree', program: 'tree', args: [], stopped: 1 },
  { name: 'fork and exec storm', program: 'storm', args: [], stopped: 0 },
  ...(canWatchWrites()
    ? [
        { ...steady('plain'), name: 'dumps that build on one another', tracked: true },
        { name: 'process tree, the same', program: 'tree', args: [], stopped: 1, tracked: true },
      ]
    : []),
];

const base = mkdtempSync(join(tmpdir(), 'diapause-crash-'));
after(() => rmSync(base, { recursive: true, force: true }));
/** Who was stopped in our memory stays there until it goes on. Done for all that are stopped. */
async function goOnAndStopAgain(victim: Victim): Promise<void> {
  const stopped = (): number[] =>
    tasksOf(victim.pid).flatMap(({ pid, state }) => (state === 'T' ? [pid] : []));
  const pids = stopped();
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  for (const end = Date.now() + 10_000; stopped().length < pids.length; ) {
    assert.ok(Date.now() < end, `it does not stop again: ${describeVictim(victim)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What must be true once a dump was left to finish: nothing of ours is in the application. */
async function mustBeClean(scene: Scene): Promise<void> {
  const { victim, subject, dumps, before } = scene;
  await goOnAndStopAgain(victim);
  const { failure, status, stderr } = await dumps.atLast();
  assert.equal(failure, undefined);
  assert.equal(status, 0, stderr);
  await mustBeWell(victim, subject.stopped);
  assert.deepEqual(foreignMappings(victim.pid), [], 'our memory is left');
  if (subject.program === 'storm') return;
  assert.deepEqual(
    identities(victim.pid),
    before.identities,
    'signals, threads or children differ',
  );
}

/** One victim as it was before the first kill. */
interface Scene {
  readonly victim: Victim;
  readonly subject: Subject;
  readonly dumps: Dumps;
  readonly before: { readonly identities: string[]; readonly descriptors: string[] };
}

/** An orphaned thread closes what we have opened in it, and nothing else. */
async function mustHaveItsDescriptors(
  { victim, subject, before }: Scene,
  where: string,
): Promise<void> {
  if (subject.program === 'storm') return;
  for (const end = Date.now() + 5000; Date.now() < end; ) {
    if (isDeepStrictEqual(descriptorsOf(victim.pid), before.descriptors)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(descriptorsOf(victim.pid), before.descriptors, where);
}

/** Until when the engine is killed, and how often it was. */
interface Session {
  readonly random: Random;
  readonly end: number;
  killed: number;
}

/** A slow machine gets more time, so that every stage is tried at least once. */
const MORE_MILLIS = Math.max(60_000, SHARE_SECONDS * 2000);
const isOver = ({ end, killed }: Session): boolean =>
  performance.now() > (killed < STAGES.length ? end + MORE_MILLIS : end);

/** Kills beside one victim until the time is over or it is hurt. @throws Error that says where the engine was killed */
async function tortureOne(subject: Subject, session: Session): Promise<void> {
  using victim = await startVictim(buildVictim(subject.program), subject.args);
  // A thread that is being made has all signals blocked for a moment.
  await mustBeWell(victim, subject.stopped);
  const before = {
    identities: identities(victim.pid),
    descriptors: descriptorsOf(victim.pid),
  };
  const dumps = new Dumps(victim, base, subject.tracked);
  const scene: Scene = { victim, subject, dumps, before };
  for (const kill of kills(session.random, await dumps.calibrate())) {
    // One that is to build on it: the other half begins anew.
    if (subject.tracked && session.random(2) === 0) await dumps.run();
    const where = await kill(dumps);
    if (where !== undefined) session.killed++;
    try {
      await mustBeWell(victim, subject.stopped);
      await mustHaveItsDescriptors(scene, 'descriptors differ');
    } catch (error) {
      throw new Error(`${where ?? 'a whole dump'}: ${String(error)}`, { cause: error });
    }
    if (isOver(session)) break;
  }
  await mustBeClean(scene);
  victim.signal('SIGTERM');
  for (const end = Date.now() + 10_000; victim.alive(); ) {
    assert.ok(Date.now() < end, `it does not end: ${describeVictim(victim)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(complaints(victim), []);
}

/** Each step of the engine before the freeze, in which it makes and takes what watches the memory. */
async function tortureStepByStep(subject: Subject): Promise<void> {
  using victim = await startVictim(buildVictim(subject.program), subject.args);
  await mustBeWell(victim, subject.stopped);
  const before = { identities: identities(victim.pid), descriptors: descriptorsOf(victim.pid) };
  const dumps = new Dumps(victim, base, true);
  const scene: Scene = { victim, subject, dumps, before };
  const end = performance.now() + SHARE_SECONDS * 3000;
  let step = 1 + (SEED % STRIDE);
  for (; !dumps.reached.has('frozen') && performance.now() < end; step += STRIDE) {
    const where = await killedAtStep(step, 0)(dumps);
    assert.ok(where, `it was not killed at step ${step}`);
    await mustBeWell(victim, subject.stopped);
    await mustHaveItsDescriptors(scene, where);
  }
  process.stdout.write(`up to step ${step - STRIDE}, one of ${STRIDE}\n`);
  await mustBeClean(scene);
}

async function torture(subject: Subject, seed: number): Promise<void> {
  const end = performance.now() + SHARE_SECONDS * 1000;
  const session = { random: randomFrom(seed), end, killed: 0 };
  const hurt: string[] = [];
  while (!isOver(session) && hurt.length < MAX_HURT) {
    try {
      await tortureOne(subject, session);
    } catch (error) {
      hurt.push(String(error));
    }
  }
  process.stdout.write(`${subject.name}: ${session.killed} kills, seed ${seed}\n`);
  assert.deepEqual(hurt, []);
  assert.ok(session.killed >= STAGES.length, `only ${session.killed} kills`);
}

/** What these answer when they are interrupted is the kernel's, and the engine is dead before it can make good for it. */
const INTERRUPTED_BY_KERNEL =
  /^WRONG (epoll_timeout|epoll_forever|sigtimedwait_timeout|socket_read_timeout|semaphore_wait|semaphore_timeout|epoll_pwait2_timeout) result -1 errno 4 /;
const BLOCKED_MILLIS = 6000;

/** Calls that stay blocked over many kills; whatever they answer, they answer once. */
async function tortureBlockedCalls(seed: number): Promise<void> {
  const end = performance.now() + SHARE_SECONDS * 1000;
  const random = randomFrom(seed);
  const wrong: string[] = [];
  for (let rounds = 0; rounds === 0 || performance.now() < end; rounds++) {
    using victim = await startVictim(buildVictim('restarts'), [String(BLOCKED_MILLIS), 'sysv']);
    const until = performance.now() + BLOCKED_MILLIS * 0.8;
    const places: string[] = [];
    const dumps = new Dumps(victim, base);
    for (const kill of kills(random, await dumps.calibrate())) {
      places.push((await kill(dumps)) ?? 'a whole dump');
      if (!victim.alive()) throw new Error(`${places.at(-1)}: ${describeVictim(victim)}`);
      if (performance.now() > until) break;
    }
    // Those with a time-out first: a whole one may have begun again.
    await new Promise((resolve) => setTimeout(resolve, BLOCKED_MILLIS * 1.2));
    victim.signal('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    victim.signal('SIGTERM');
    assert.match(await victim.waitForLine(/^verdict/), /done 29 of 29$/, victim.output());
    const lines = victim
      .output()
      .split('\n')
      .filter((line) => line.startsWith('WRONG'));
    const bad = lines.filter((line) => !INTERRUPTED_BY_KERNEL.test(line));
    if (bad.length > 0) wrong.push(`${bad.join('; ')} after ${places.join('; ')}`);
  }
  assert.deepEqual(wrong, []);
}

// Two at a time: some kills then hit an engine that is waiting for the processor.
describe('the engine is killed', { concurrency: 2 }, () => {
  for (const [i, subject] of SUBJECTS.entries()) {
    test(subject.name, () => torture(subject, SEED + i));
  }
  const skip = canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)';
  test('every step before a watched freeze', { skip }, () => tortureStepByStep(steady('plain')));
  test('29 kinds of blocked calls', () => tortureBlockedCalls(SEED));
});
