// A restore into a pod that runs: judged first, then emptied; what a failure or a crash leaves at each step.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeTaskStatus } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import type { RootfsRequest } from '../bundle/rootfs-diff/protocol.ts';
import type { RootMount } from '../container/mounts.ts';
import type { JournalStep } from './journal.ts';
import type { AgentUnderTest } from './testing/agent-under-test.ts';
import { Bench, CONTAINERS } from './testing/bench.ts';
import { agentOn, type RunningAgent } from './testing/run-agent.ts';
import type { Scenario } from './testing/scenario.ts';

const OVERLAY = { fsType: 'overlay', readOnly: false, layers: { upper: '/u', lowers: ['/l'] } };
const PLAIN = { fsType: 'ext4', readOnly: false, layers: undefined };

interface Prepared extends AsyncDisposable {
  readonly bench: Bench;
  readonly digest: string;
  readonly requests: readonly RootfsRequest[];
  readonly agent: () => Promise<RunningAgent>;
}

/** A running program, and a bundle of it. */
async function prepare(root: RootMount = OVERLAY): Promise<Prepared> {
  const bench = await Bench.start('program', true);
  const requests: RootfsRequest[] = [];
  const agent = async (): Promise<RunningAgent> =>
    await agentOn(bench, {
      root,
      rootfs: {
        run(request) {
          requests.push(request);
          if (request.type === 'collect') {
            writeFileSync(`${request.outputDirectory}/rootfs-diff.tar`, Buffer.alloc(1024));
            writeFileSync(`${request.outputDirectory}/deleted.files`, '[]');
          }
          return Promise.resolve({ entries: 0, deleted: 0, bytes: 1024, findings: [] });
        },
      },
    });
  await using saving = await agent();
  void saving;
  const { result } = await bench.untilEnded(bench.giveDump());
  requests.length = 0;
  bench.scenario([{ do: 'result' }]);
  const digest = result?.bundleDigest ?? '';
  return {
    bench,
    digest,
    requests,
    agent,
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

async function rewind(
  { bench, digest, agent }: Prepared,
  payload: object = {},
): Promise<NodeTaskStatus> {
  await using running = await agent();
  void running;
  return await bench.untilEnded(bench.giveRestore(digest, { inPlace: true, ...payload }));
}

const commOf = ({ victimPid }: Bench): string =>
  readFileSync(`/proc/${victimPid}/comm`, 'latin1').trim();

function assertUntouched({ bench, requests }: Prepared): void {
  assert.equal(commOf(bench), 'program');
  assert.equal(bench.victimState, 'S');
  assert.deepEqual(requests, []);
}

const failing = (code: string): Scenario => [
  { do: 'say', event: { event: 'failed', failure: { code, message: `it says ${code}` } } },
  { do: 'exit', status: 1 },
];

async function assertEnded(bench: Bench): Promise<void> {
  await until('the end of the container', () => bench.victim.signalCode !== null);
  assert.equal(bench.victim.signalCode, 'SIGKILL');
}

test('emptied, then its files put back over the running root, then rebuilt', async () => {
  await using prepared = await prepare();
  const status = await rewind(prepared);
  assert.equal(status.state, 'Succeeded', JSON.stringify(status));
  assert.equal(status.committed, true);
  assert.equal(commOf(prepared.bench), 'diapause-init');
  const [apply] = prepared.requests;
  assert.ok(apply?.type === 'apply');
  assert.equal(apply.undo?.upper, '/u');
  assert.ok(apply.undo.exclude.includes('/proc'));
});

test('a running program is no placeholder unless the task says so', async () => {
  await using prepared = await prepare();
  const status = await rewind(prepared, { inPlace: false });
  assert.equal(status.error?.code, 'ContainerMismatch');
  assertUntouched(prepared);
});

test('what the engine refuses beforehand has changed nothing and is not committed', async () => {
  await using prepared = await prepare();
  for (const [code, told] of [
    ['CredentialsChanged', 'EngineFailed'],
    ['PidTaken', 'PidTaken'],
    ['Unstoppable', 'PodBusy'],
  ] as const) {
    prepared.bench.rewindScenario(failing(code));
    const status = await rewind(prepared);
    assert.equal(status.error?.code, told, JSON.stringify(status));
    assert.notEqual(status.committed, true);
    assertUntouched(prepared);
  }
});

test('another image', async () => {
  await using prepared = await prepare();
  const containers = [{ ...CONTAINERS[0]!, imageID: `sha256:${'2'.repeat(64)}` }];
  const status = await rewind(prepared, { containers });
  assert.equal(status.error?.code, 'ImageMismatch');
  assertUntouched(prepared);
});

test('a container whose processes cannot be rebuilt is ended, and the failure says so', async () => {
  await using prepared = await prepare();
  prepared.bench.scenario(failing('ImageDamaged'));
  const status = await rewind(prepared);
  assert.equal(status.error?.code, 'RewindFailed', JSON.stringify(status));
  assert.match(status.error.message, /it says ImageDamaged; container app has ended/);
  await assertEnded(prepared.bench);
});

test('an engine that dies when it has emptied the container', async () => {
  await using prepared = await prepare();
  prepared.bench.rewindScenario([{ do: 'empty-or-result' }, { do: 'exit', status: 9 }]);
  const status = await rewind(prepared);
  assert.equal(status.error?.code, 'RewindFailed', JSON.stringify(status));
  await assertEnded(prepared.bench);
});

type Crash = readonly [
  'before' | 'after',
  JournalStep,
  'Succeeded' | 'AgentRestarted' | 'RewindFailed',
];

const CRASHES: readonly Crash[] = [
  ['before', 'rewinding', 'Succeeded'],
  ['after', 'rewinding', 'AgentRestarted'],
  ['before', 'rewound', 'RewindFailed'],
  ['after', 'rewound', 'Succeeded'],
  ['before', 'engine', 'Succeeded'],
  ['after', 'engine', 'RewindFailed'],
  ['after', 'sealing', 'Succeeded'],
];

for (const [when, step, end] of CRASHES) {
  test(`an agent killed ${when} "${step}": ${end}`, async () => {
    await using prepared = await prepare(PLAIN);
    const { bench, digest } = prepared;
    const task = bench.giveRestore(digest, { inPlace: true });
    const [, signal] = (await once(startAgent(bench, { when, step }), 'exit')) as [unknown, string];
    assert.equal(signal, 'SIGKILL');
    await using running = await prepared.agent();
    void running;
    const status = await bench.untilEnded(task);
    assert.equal(status.error?.code ?? status.state, end, JSON.stringify(status));
    if (end === 'RewindFailed') await assertEnded(bench);
    else assert.equal(bench.victimState, 'S');
  });
}

function startAgent(bench: Bench, killAt: NonNullable<AgentUnderTest['killAt']>) {
  const options: AgentUnderTest = {
    server: bench.api.url,
    node: { folder: bench.folder, volume: bench.volume, victimPid: bench.victimPid },
    journalFolder: bench.journalFolder,
    killAt,
  };
  const program = join(import.meta.dirname, 'testing/agent-under-test.ts');
  return spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
