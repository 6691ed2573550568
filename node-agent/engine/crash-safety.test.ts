// SIGKILL of the engine, at every stage, at every step and at any time: the application goes on as if nothing had been.
// CRASH_SECONDS and CRASH_SEED in the environment make it look longer, or elsewhere.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, test } from 'node:test';
import {
  dumpTask,
  type EngineEnd,
  type EngineOptions,
  type Stage,
  startEngine,
} from '../../test/victims/engine-process.ts';
import {
  complaints,
  describe as describeVictim,
  foreignMappings,
  identities,
  mustBeWell,
  tasksOf,
} from '../../test/victims/health.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../../test/victims/victim.ts';

enterPrivateNamespaces();

const SECONDS = Number(process.env['CRASH_SECONDS'] ?? 60);
const SEED = Number(process.env['CRASH_SEED'] ?? 1);
const MAX_HURT = 5;
/** for one subject; two at a time */
const SHARE_SECONDS = (SECONDS * 2) / 8;
const STAGES: readonly Stage[] = [
  'seizing',
  'preparing',
  'frozen',
  'thawed',
  'saving-pages',
  'saving-state',
  'done',
];

interface Subject {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** processes of it that are stopped anyway */
  readonly stopped: number;
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
];

const base = mkdtempSync(join(tmpdir(), 'diapause-crash-'));
after(() => rmSync(base, { recursive: true, force: true }));
const killAt = buildVictim('kill-at');

/** A whole number from 0 on, below the argument. */
type Random = (below: number) => number;

/** A small generator of the xorshift family: the same kills for the same seed. */
function randomFrom(seed: number): Random {
  let x = (seed * 2654435761 + 1013904223) >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const imagesDir = (): string => mkdtempSync(join(base, 'images-'));

async function dump(victim: Victim, options: EngineOptions = {}): Promise<EngineEnd> {
  const directory = imagesDir();
  try {
    return await startEngine(dumpTask(victim.pid, directory), options).ended;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One way to die; answers with where it was, undefined when the engine was faster. */
type Kill = (victim: Victim) => Promise<string | undefined>;

const killedAtStage =
  (stage: Stage): Kill =>
  async (victim) => {
    const end = await dump(victim, {
      onEvent: (event, engine) => {
        if (event.event === 'stage' && event.stage === stage) engine.kill();
      },
    });
    return end.signal === 'SIGKILL' ? `stage ${stage}` : undefined;
  };

/** Held for a while before it dies, the application comes to the end of what it was set to do. */
const HOLD_MICROS = [0, 0, 30, 300, 3000] as const;

const killedAtStep =
  (stop: number, holdMicros: number): Kill =>
  async (victim) => {
    const { stderr } = await dump(victim, { wrapper: [killAt, String(stop), String(holdMicros)] });
    const where = /^killed at .*$/m.exec(stderr)?.[0];
    return where === undefined ? undefined : `${where}, held ${holdMicros} us`;
  };

const killedAfter =
  (stage: Stage, millis: number): Kill =>
  async (victim) => {
    const end = await dump(victim, {
      onEvent: (event, engine) => {
        if (event.event !== 'stage' || event.stage !== stage) return;
        const until = performance.now() + millis;
        while (performance.now() < until) continue;
        engine.kill();
      },
    });
    return end.signal === 'SIGKILL' ? `${millis.toFixed(3)} ms after ${stage}` : undefined;
  };

/** A storm may keep a process from being stopped (vfork) for as long as the engine tries. */
const MAX_ATTEMPTS = 5;

async function dumpAtLast(victim: Victim, options: EngineOptions = {}): Promise<EngineEnd> {
  for (let attempt = 1; ; attempt++) {
    const end = await dump(victim, options);
    if (end.failure?.code !== 'Unstoppable' || attempt === MAX_ATTEMPTS) return end;
  }
}

/** How many steps a dump of this victim has, and how long its stages are. */
async function calibrate(victim: Victim): Promise<{ steps: number; stages: Map<Stage, number> }> {
  const { stderr, failure, stages } = await dumpAtLast(victim, { wrapper: [killAt, '0', '0'] });
  assert.equal(failure, undefined);
  const steps = Number(/^ended after (\d+) stops$/m.exec(stderr)?.[1]);
  assert.ok(steps > 0, stderr);
  const lengths = stages.map(({ stage, atMillis }, i): [Stage, number] => [
    stage,
    Math.max(1, (stages[i + 1]?.atMillis ?? atMillis) - atMillis),
  ]);
  return { steps, stages: new Map(lengths) };
}

function* kills(
  random: Random,
  { steps, stages }: { steps: number; stages: Map<Stage, number> },
): Generator<Kill> {
  for (const stage of STAGES) yield killedAtStage(stage);
  const named = [...stages];
  for (;;) {
    for (let i = 0; i < 3; i++) {
      yield killedAtStep(1 + random(steps), HOLD_MICROS[random(HOLD_MICROS.length)]!);
    }
    const [stage, millis] = named[random(named.length)]!;
    yield killedAfter(stage, (millis * random(1000)) / 1000);
  }
}

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
async function mustBeClean(victim: Victim, subject: Subject, before: string[]): Promise<void> {
  await goOnAndStopAgain(victim);
  const { failure, status } = await dumpAtLast(victim);
  assert.equal(failure, undefined);
  assert.equal(status, 0);
  await mustBeWell(victim, subject.stopped);
  assert.deepEqual(foreignMappings(victim.pid), [], 'our memory is left');
  if (subject.program === 'storm') return;
  assert.deepEqual(identities(victim.pid), before, 'signals, threads or children differ');
}

/** Until when the engine is killed, and how often it was. */
interface Session {
  readonly random: Random;
  readonly end: number;
  killed: number;
}

/** A slow machine gets more time, so that every stage is tried at least once. */
const isOver = ({ end, killed }: Session): boolean =>
  performance.now() > (killed < STAGES.length ? end + SHARE_SECONDS * 2000 : end);

/** Kills beside one victim until the time is over or it is hurt. @throws Error that says where the engine was killed */
async function tortureOne(subject: Subject, session: Session): Promise<void> {
  using victim = await startVictim(buildVictim(subject.program), subject.args);
  // A thread that is being made has all signals blocked for a moment.
  await mustBeWell(victim, subject.stopped);
  const before = identities(victim.pid);
  for (const kill of kills(session.random, await calibrate(victim))) {
    const where = await kill(victim);
    if (where !== undefined) session.killed++;
    await mustBeWell(victim, subject.stopped).catch((error: unknown) => {
      throw new Error(`${where ?? 'a whole dump'}: ${String(error)}`);
    });
    if (isOver(session)) break;
  }
  await mustBeClean(victim, subject, before);
  victim.signal('SIGTERM');
  for (const end = Date.now() + 10_000; victim.alive(); ) {
    assert.ok(Date.now() < end, `it does not end: ${describeVictim(victim)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(complaints(victim), []);
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
    for (const kill of kills(random, await calibrate(victim))) {
      places.push((await kill(victim)) ?? 'a whole dump');
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
  test('29 kinds of blocked calls', () => tortureBlockedCalls(SEED));
});
