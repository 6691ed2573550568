// A container's program is saved, goes on, and becomes again what it was: same PID 1, same namespaces. Needs root.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startContained } from '../../test/victims/confined.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { buildVictim, type Victim } from '../../test/victims/victim.ts';
import { mountOf } from './rewind.ts';

enterPrivateNamespaces();

async function save(t: TestContext, victim: Victim): Promise<string> {
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const saved = await startEngine(dumpTask(victim.pid, imagesDir)).ended;
  assert.ok(saved.result, JSON.stringify(saved.failure));
  return imagesDir;
}

async function rewind({ pid }: Victim, imagesDir: string, dryRun = false): Promise<EngineEnd> {
  const trees = [{ name: 'victim', rootPid: pid, imagesDir, putBack: [] }];
  return await startEngine({ type: 'rewind', trees, freezeLimitMillis: 0, dryRun }).ended;
}

async function restore({ pid }: Victim, imagesDir: string): Promise<void> {
  const trees = [{ name: 'victim', imagesDir, placeholderPid: pid }];
  const { restored, failure } = await startEngine({ type: 'restore', trees, leaveStopped: false })
    .ended;
  assert.ok(restored, JSON.stringify(failure));
}

/** What the kubelet and the runtime would see change. */
function identityOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
  const spaces = readdirSync(`/proc/${pid}/ns`).map((name) =>
    readlinkSync(`/proc/${pid}/ns/${name}`),
  );
  return [startTime, ...spaces, readFileSync(`/proc/${pid}/cgroup`, 'latin1')];
}

const linesOf = (victim: Victim, pattern: RegExp): string[] =>
  victim
    .output()
    .split('\n')
    .filter((line) => pattern.test(line));

/** Sends SIGUSR1 and waits for the answer to it. */
async function ask(victim: Victim, answer: RegExp): Promise<string> {
  const before = linesOf(victim, answer).length;
  victim.signal('SIGUSR1');
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const line = linesOf(victim, answer)[before];
    if (line !== undefined) return line;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`no answer; it said ${victim.output().slice(-2000)}`);
}

const COUNT = /^count (\d+)/;
const countIn = (line: string): number => Number(COUNT.exec(line)?.[1]);

test('threads and memory go back in time, in the same process', async (t) => {
  const { victim } = await startContained(buildVictim('counter'), ['16']);
  t.after(() => victim[Symbol.dispose]());
  const identity = identityOf(victim.pid);
  const imagesDir = await save(t, victim);
  const saved = countIn(await ask(victim, COUNT));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const later = countIn(await ask(victim, COUNT));

  const dry = await rewind(victim, imagesDir, true);
  assert.deepEqual(dry.rewound?.findings, [], JSON.stringify(dry.failure));
  assert.ok(countIn(await ask(victim, COUNT)) > later, 'a dry run changes nothing');

  const { rewound, failure } = await rewind(victim, imagesDir);
  assert.ok(rewound, JSON.stringify(failure));
  assert.equal(readFileSync(`/proc/${victim.pid}/comm`, 'latin1').trim(), 'diapause-init');
  assert.equal(readdirSync(`/proc/${victim.pid}/task`).length, 1);
  await restore(victim, imagesDir);
  const line = await ask(victim, COUNT);
  assert.ok(countIn(line) < later, `${line}: it was ${saved} when saved and ${later} later`);
  assert.match(line, /checksum same/);
  assert.deepEqual(identityOf(victim.pid), identity);
});

test('a family with copy-on-write memory, sessions and zombies goes back twice', async (t) => {
  const { victim } = await startContained(buildVictim('family'));
  t.after(() => victim[Symbol.dispose]());
  const identity = identityOf(victim.pid);
  const REPORT = /^report \d+/;
  const first = await ask(victim, REPORT);
  const imagesDir = await save(t, victim);
  const next = await ask(victim, REPORT);
  assert.notEqual(next, first);
  for (let round = 0; round < 2; round++) {
    await ask(victim, REPORT);
    const { rewound, failure } = await rewind(victim, imagesDir);
    assert.equal(rewound?.endedProcesses, 6, JSON.stringify(failure));
    const children = `/proc/${victim.pid}/task/${victim.pid}/children`;
    assert.equal(readFileSync(children, 'latin1'), '', 'no zombie stays');
    await restore(victim, imagesDir);
    assert.equal(await ask(victim, REPORT), next, 'it says what it said after it was saved');
  }
  assert.deepEqual(identityOf(victim.pid), identity);
});

/** A shell that has child 2 when it is saved, and another one soon afterwards. */
const SHELL = ['-c', 'echo ready; sleep 5; echo later; sleep 100 & wait'] as const;

test('a pid that a session has taken: refused by name, the program goes on, and later it works', async (t) => {
  const { victim } = await startContained('/bin/sh', SHELL);
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  await victim.waitForLine(/later/);
  const take = 'echo 1 > /proc/sys/kernel/ns_last_pid; sleep 60 & echo $!; wait';
  const session = spawn('nsenter', ['-t', String(victim.pid), '-p', '-m', 'sh', '-c', take]);
  const taken = await new Promise((resolve) => session.stdout.once('data', resolve));
  assert.equal(String(taken).trim(), '2');
  const refused = await rewind(victim, imagesDir);
  assert.equal(refused.failure?.code, 'PidTaken');
  assert.match(refused.failure.message, /pid 2 /);
  assert.equal(readFileSync(`/proc/${victim.pid}/comm`, 'latin1').trim(), 'sh');
  execFileSync('nsenter', ['-t', String(victim.pid), '-p', '-m', 'sh', '-c', 'kill -9 2']);
  const { rewound, failure } = await rewind(victim, imagesDir);
  assert.ok(rewound, JSON.stringify(failure));
  await restore(victim, imagesDir);
  for (const end = Date.now() + 10_000; linesOf(victim, /later/).length < 2; ) {
    assert.ok(Date.now() < end, victim.output());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test('a program that has given up its rights since is refused, and goes on', async (t) => {
  const drop =
    'echo ready; sleep 4; exec setpriv --reuid 1000 --clear-groups sh -c "echo dropped; sleep 100"';
  const { victim } = await startContained('/bin/sh', ['-c', drop]);
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  await victim.waitForLine(/dropped/);
  const { failure, stages } = await rewind(victim, imagesDir);
  assert.equal(failure?.code, 'CredentialsChanged');
  assert.ok(!stages.some(({ stage }) => stage === 'rewinding'));
  assert.ok(victim.alive());
  assert.match(readFileSync(`/proc/${victim.pid}/status`, 'latin1'), /^TracerPid:\s*0$/m);
});

for (const at of ['seizing', 'preparing', 'frozen'] as const) {
  test(`an engine that is killed when it says ${at} leaves the program or nothing`, async (t) => {
    const { victim } = await startContained(buildVictim('counter'));
    t.after(() => victim[Symbol.dispose]());
    const imagesDir = await save(t, victim);
    const trees = [{ name: 'victim', rootPid: victim.pid, imagesDir, putBack: [] }];
    for (const dryRun of [true, false]) {
      const engine = startEngine(
        { type: 'rewind', trees, freezeLimitMillis: 0, dryRun },
        {
          onEvent: (event, running) => {
            if (event.event === 'stage' && event.stage === at) running.kill();
          },
        },
      );
      const { stages } = await engine.ended;
      const gone = stages.some(({ stage }) => stage === 'rewinding');
      if (!gone && isProgram(victim)) await ask(victim, COUNT);
      assert.ok(!dryRun || isProgram(victim), 'a dry run never harms');
      assert.ok(isProgram(victim) || isPlaceholder(victim) || !victim.alive());
    }
  });
}

const commOf = ({ pid }: Victim): string => readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
const isProgram = (victim: Victim): boolean => victim.alive() && commOf(victim) === 'counter';
const isPlaceholder = (victim: Victim): boolean =>
  victim.alive() && commOf(victim) === 'diapause-init';

test('a port that the program listens on is free again, though connections to it were open', async (t) => {
  const { victim } = await startContained(buildVictim('listener'), ['reuse']);
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  for (const round of ['round 1', 'round 1']) {
    assert.equal(await ask(victim, /^round/), round);
    const { rewound, failure } = await rewind(victim, imagesDir);
    assert.ok(rewound, JSON.stringify(failure));
    await restore(victim, imagesDir);
  }
  assert.equal(await ask(victim, /^round/), 'round 1');
});

test('a port on which a closed connection lingers is refused by name where it would stay taken', async (t) => {
  const { victim } = await startContained(buildVictim('listener'));
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  assert.equal(await ask(victim, /^round/), 'round 1');
  const { failure } = await rewind(victim, imagesDir);
  assert.equal(failure?.code, 'PortLingers');
  assert.match(failure.message, /port 8000/);
  assert.equal(await ask(victim, /^round/), 'round 2', 'it goes on');
});

test('a program without any right goes back, too', async (t) => {
  const words = ['--reuid', '1000', '--regid', '1000', '--clear-groups', '--bounding-set', '-all'];
  const options = [...words, '--inh-caps', '-all', '--no-new-privs', buildVictim('counter')];
  const { victim } = await startContained('setpriv', options);
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const later = countIn(await ask(victim, COUNT));
  const { rewound, failure } = await rewind(victim, imagesDir);
  assert.ok(rewound, JSON.stringify(failure));
  await restore(victim, imagesDir);
  assert.ok(countIn(await ask(victim, COUNT)) < later);
  assert.match(readFileSync(`/proc/${victim.pid}/status`, 'latin1'), /^Uid:\s*1000\s/m);
});

test('two containers go back together, or neither does', async (t) => {
  const contained = [
    await startContained(buildVictim('counter')),
    await startContained('/bin/sh', ['-c', 'echo ready; while :; do sleep 1; done']),
  ];
  const victims = contained.map(({ victim }) => victim);
  t.after(() => victims.forEach((victim) => victim[Symbol.dispose]()));
  const [counter, shell] = victims as [Victim, Victim];
  const dirs = [await save(t, counter), await save(t, shell)] as const;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const later = countIn(await ask(counter, COUNT));
  const trees = victims.map(({ pid }, i) => ({
    name: `c${i}`,
    rootPid: pid,
    imagesDir: dirs[i]!,
    putBack: [],
  }));
  const task = { type: 'rewind', freezeLimitMillis: 0, dryRun: false } as const;
  const wrong = trees.map((tree, i) => ({ ...tree, imagesDir: i === 0 ? dirs[0] : '/nowhere' }));
  const refused = await startEngine({ ...task, trees: wrong }).ended;
  assert.ok(refused.failure, 'images that are not there');
  assert.ok(countIn(await ask(counter, COUNT)) > later, 'the other one goes on');
  const { rewound, failure } = await startEngine({ ...task, trees }).ended;
  assert.ok(rewound, JSON.stringify(failure));
  await restore(counter, dirs[0]);
  await restore(shell, dirs[1]);
  assert.ok(countIn(await ask(counter, COUNT)) < later);
  assert.equal(commOf(shell), 'sh');
});

test('an engine that is killed after the point of no return ends the container', async (t) => {
  const { victim } = await startContained(buildVictim('family'));
  t.after(() => victim[Symbol.dispose]());
  const imagesDir = await save(t, victim);
  const trees = [{ name: 'victim', rootPid: victim.pid, imagesDir, putBack: [] }];
  const task = { type: 'rewind', trees, freezeLimitMillis: 0, dryRun: false } as const;
  const engine = startEngine(task, {
    onEvent: (event, running) => {
      if (event.event === 'stage' && event.stage === 'rewinding') running.kill();
    },
  });
  const { rewound } = await engine.ended;
  for (const end = Date.now() + 5000; victim.alive() && !rewound; ) {
    assert.ok(Date.now() < end, `${commOf(victim)} lives on without its engine`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(!victim.alive() || isPlaceholder(victim));
});

test('a file lies on the innermost mount above it', () => {
  const points = ['/', '/data', '/data/cache', '/da'];
  for (const [path, point] of [
    ['/etc/passwd', '/'],
    ['/data', '/data'],
    ['/data/x', '/data'],
    ['/data/cache/x', '/data/cache'],
    ['/database', '/'],
  ] as const) {
    assert.equal(mountOf(path, points), point, path);
  }
});
