// The agent killed with SIGKILL at every step of its journal, and started again.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeTaskStatus } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import type { JournalRecord, JournalStep } from './journal.ts';
import type { AgentUnderTest } from './testing/agent-under-test.ts';
import { Bench, BUNDLE_NAME, CONTAINERS } from './testing/bench.ts';
import { frozenUntil, KEPT_FROZEN, slowUntil } from './testing/scenario.ts';

function startAgent(bench: Bench, killAt?: AgentUnderTest['killAt']): ChildProcess {
  const options: AgentUnderTest = {
    server: bench.api.url,
    node: { folder: bench.folder, volume: bench.volume, victimPid: bench.victimPid },
    journalFolder: bench.journalFolder,
    ...(killAt && { killAt }),
  };
  const program = join(import.meta.dirname, 'testing/agent-under-test.ts');
  return spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function endAgent(agent: ChildProcess): Promise<void> {
  agent.kill('SIGTERM');
  await once(agent, 'exit');
}

/** Lets an agent die at `killAt`, looks around, starts another and returns how the task ended. */
async function crashAndRestart(
  bench: Bench,
  killAt: NonNullable<AgentUnderTest['killAt']>,
  task: string,
): Promise<NodeTaskStatus> {
  const first = startAgent(bench, killAt);
  const [, signal] = (await once(first, 'exit')) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the agent died where it should');
  assertNoHalfBundle(bench);
  const second = startAgent(bench);
  const status = await bench.untilEnded(task);
  await until('journal empty', () => bench.journalled().length === 0);
  await endAgent(second);
  assert.equal(bench.victimState, 'S');
  return status;
}

/** A bundle under its own name is whole; everything else has a name of ours. */
function assertNoHalfBundle(bench: Bench): void {
  for (const name of bench.bundles().filter((entry) => !entry.startsWith('.'))) {
    readFileSync(join(bench.volume, 'team', name, 'manifest.json'));
  }
}

type Crash = readonly [
  when: 'before' | 'after',
  step: JournalStep,
  end: 'Succeeded' | 'AgentRestarted',
];

/** Before the engine gets the processes the work begins anew; once they are saved it is finished. */
const CRASHES: readonly Crash[] = [
  ['before', 'staging', 'Succeeded'],
  ['after', 'staging', 'Succeeded'],
  ['before', 'engine', 'Succeeded'],
  ['after', 'engine', 'AgentRestarted'],
  ['before', 'saved', 'AgentRestarted'],
  ['after', 'saved', 'Succeeded'],
  ['before', 'sealing', 'Succeeded'],
  ['after', 'sealing', 'Succeeded'],
  ['before', 'ended', 'Succeeded'],
  ['after', 'ended', 'Succeeded'],
];

for (const [when, step, end] of CRASHES) {
  test(`killed ${when} "${step}": ${end}`, async () => {
    await using bench = await Bench.start();
    const status = await crashAndRestart(bench, { when, step }, bench.giveDump());
    assert.equal(status.error?.code ?? status.state, end, JSON.stringify(status));
    assert.deepEqual(bench.bundles(), end === 'Succeeded' ? [BUNDLE_NAME] : []);
    assert.equal(bench.cleanUps, end === 'Succeeded' ? 0 : 1);
  });

  test(`killed ${when} "${step}" with a source to be kept frozen`, async () => {
    await using bench = await Bench.start();
    bench.scenario(KEPT_FROZEN);
    const status = await crashAndRestart(
      bench,
      { when, step },
      bench.giveDump({ afterDump: 'KeepFrozen' }),
    );
    assert.equal(status.error?.code ?? status.state, end, JSON.stringify(status));
    // Frozen exactly if the object says that its dump is complete.
    assert.equal(bench.frozen, end === 'Succeeded');
  });
}

/** Files may be applied again; processes half-built by a dead engine make the placeholder useless. */
for (const [when, step, end] of [
  ['before', 'engine', 'Succeeded'],
  ['after', 'engine', 'AgentRestarted'],
  ['before', 'sealing', 'AgentRestarted'],
  ['after', 'sealing', 'Succeeded'],
  ['after', 'ended', 'Succeeded'],
] as const satisfies readonly Crash[]) {
  test(`a restore killed ${when} "${step}": ${end}`, async () => {
    await using bench = await Bench.start('diapause-init');
    const first = startAgent(bench);
    const { result } = await bench.untilEnded(bench.giveDump());
    await endAgent(first);
    bench.scenario([{ do: 'result' }]);
    const task = bench.giveRestore(result?.bundleDigest ?? '');
    const status = await crashAndRestart(bench, { when, step }, task);
    assert.equal(status.error?.code ?? status.state, end, JSON.stringify(status));
    assert.deepEqual(bench.bundles(), [BUNDLE_NAME]);
  });
}

function journalOf(bench: Bench): JournalRecord {
  const [file = ''] = bench.journalled();
  return JSON.parse(readFileSync(join(bench.journalFolder, file), 'utf8')) as JournalRecord;
}

function isAlive(pid: number): boolean {
  try {
    return !'ZX'.includes(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0] ?? 'X');
  } catch {
    return false;
  }
}

test('an engine that outlives its agent is ended, without the API server', async () => {
  await using bench = await Bench.start();
  bench.scenario(frozenUntil('/nowhere'));
  const task = bench.giveDump({ freezeLimitMillis: 60_000 });
  const first = startAgent(bench);
  await until('stopped', () => bench.victimState === 't');
  const { engine } = journalOf(bench).facts;
  first.kill('SIGKILL');
  await once(first, 'exit');
  assert.ok(isAlive(engine?.pid ?? 0), 'the engine outlives the agent');
  assert.equal(bench.victimState, 't');
  await bench.api.close();
  const second = startAgent(bench);
  await until('let go', () => bench.victimState === 'S');
  await until('engine ended', () => !isAlive(engine?.pid ?? 0));
  await bench.api.open();
  const status = await bench.untilEnded(task);
  assert.equal(status.error?.code, 'AgentRestarted');
  assert.deepEqual(bench.bundles(), []);
  await endAgent(second);
});

test('a crash of an agent whose task is gone is undone all the same', async () => {
  await using bench = await Bench.start();
  bench.giveDump();
  const first = startAgent(bench, { when: 'after', step: 'sealing' });
  await once(first, 'exit');
  assert.equal(bench.bundles().length, 1);
  const record = journalOf(bench);
  const { NODE_TASKS } = await import('./task-agent.ts');
  await bench.api.client().resource(NODE_TASKS).delete(record.task);
  const second = startAgent(bench);
  await until('journal empty', () => bench.journalled().length === 0);
  assert.deepEqual(bench.bundles(), []);
  await endAgent(second);
});

test('an agent that is told to end hands an unfinished copy over to its successor', async () => {
  await using bench = await Bench.start();
  const go = join(bench.folder, 'go');
  bench.scenario(slowUntil(go));
  const task = bench.giveDump();
  const first = startAgent(bench);
  await bench.untilStage(task, 'saving-pages');
  await endAgent(first);
  // The engine was cut short: nothing is left, and the task is still open.
  assert.deepEqual(bench.bundles(), []);
  assert.equal(bench.status(task).state, 'Running');
  assert.equal(journalOf(bench).step, 'begun');
  writeFileSync(go, '');
  const second = startAgent(bench);
  assert.equal((await bench.untilEnded(task)).state, 'Succeeded');
  await endAgent(second);
});

test('a task that kills its agent again and again is given up', async () => {
  await using bench = await Bench.start();
  const task = bench.giveDump();
  for (let attempt = 0; attempt < 3; attempt++) {
    const agent = startAgent(bench, { when: 'before', step: 'engine' });
    await once(agent, 'exit');
  }
  const last = startAgent(bench, { when: 'before', step: 'engine' });
  const { error } = await bench.untilEnded(task);
  assert.equal(error?.code, 'AgentRestarted');
  assert.match(error.message, /3 times/);
  assert.equal(error.retryable, false);
  await endAgent(last);
  assert.deepEqual(bench.bundles(), []);
});

/** What a `pre` hook began is ended, however the agent died. */
for (const [when, step, end] of [
  ['before', 'engine', 'Succeeded'],
  ['after', 'engine', 'AgentRestarted'],
  ['after', 'saved', 'Succeeded'],
] as const satisfies readonly Crash[]) {
  test(`killed ${when} "${step}" with hooks: what runs last is the post hook`, async () => {
    await using bench = await Bench.start();
    const hook = (word: string) => ({
      exec: { container: CONTAINERS[0]!, command: [word] },
      onError: 'Fail' as const,
      timeoutSeconds: 5,
    });
    const hooks = { pre: [hook('pause')], post: [hook('go-on')] };
    const status = await crashAndRestart(bench, { when, step }, bench.giveDump({ hooks }));
    assert.equal(status.error?.code ?? status.state, end, JSON.stringify(status));
    assert.equal(bench.commands[0], 'pause');
    assert.equal(bench.commands.at(-1), 'go-on');
  });
}

test('a task that was called back while no agent was there still gets its post hook', async () => {
  await using bench = await Bench.start();
  const container = CONTAINERS[0]!;
  const hook = {
    exec: { container, command: ['go-on'] },
    onError: 'Fail',
    timeoutSeconds: 5,
  } as const;
  const task = bench.giveDump({ hooks: { pre: [], post: [hook] } });
  const first = startAgent(bench, { when: 'after', step: 'engine' });
  await once(first, 'exit');
  await bench.cancel(task);
  assert.deepEqual(bench.commands, []);
  const second = startAgent(bench);
  assert.equal((await bench.untilEnded(task)).state, 'Canceled');
  assert.deepEqual(bench.commands, ['go-on']);
  assert.deepEqual(bench.bundles(), []);
  assert.equal(bench.cleanUps, 1);
  await endAgent(second);
});

test('a restore that was called back after its processes ran is told as what it is', async () => {
  await using bench = await Bench.start('diapause-init');
  const before = startAgent(bench);
  const { result } = await bench.untilEnded(bench.giveDump());
  await endAgent(before);
  bench.scenario([{ do: 'result' }]);
  const task = bench.giveRestore(result?.bundleDigest ?? '');
  const first = startAgent(bench, { when: 'after', step: 'sealing' });
  await once(first, 'exit');
  await bench.cancel(task);
  const second = startAgent(bench);
  assert.equal((await bench.untilEnded(task)).state, 'Succeeded');
  await endAgent(second);
});
