// How much the controller needs with many objects, and how soon all of them are looked after: the API server and the
// agents are simulated, the controller is the shipped one. `node test/bench/scale/main.ts --checkpoints 1000`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Checkpoint } from '../../../crds/checkpoint.ts';
import type { CheckpointSchedule } from '../../../crds/checkpoint-schedule.ts';
import { EVENTS } from '../../../kube/events.ts';
import { LEASES } from '../../../kube/lease.ts';
import { FakeApiServer } from '../../../kube/testing/fake-api-server.ts';
import { isFinishedCheckpoint } from '../../../src/checkpoint/facts.ts';
import { RESOURCE_TYPES } from '../../../src/cluster/types.ts';
import { FakeNode } from '../../../src/testing/fake-node.ts';
import { KINDS } from '../../../src/testing/small-cluster.ts';
import { ControllerProcess } from './controller-process.ts';
import { type Amounts, seedObjects, TOKEN } from './objects.ts';

const LIMIT_MILLIS = 180_000;
const LOOK_MILLIS = 100;
const REST_MILLIS = 10_000;

const { values } = parseArgs({
  options: {
    checkpoints: { type: 'string', default: '1000' },
    schedules: { type: 'string', default: '50' },
    pending: { type: 'string', default: '100' },
  },
});
const amounts: Amounts = {
  checkpoints: Number(values.checkpoints),
  schedules: Number(values.schedules),
  pending: Number(values.pending),
};

await main();

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'diapause-scale-'));
  const stop = new AbortController();
  await using server = await FakeApiServer.start({
    kinds: [
      ...KINDS,
      { ...LEASES, kind: 'Lease', statusSubresource: false },
      { ...EVENTS, kind: 'Event', statusSubresource: false },
    ],
  });
  server.texts.set('/version', JSON.stringify({ gitVersion: 'v1.37.2' }));
  try {
    seedObjects(server, amounts);
    const running = ['node-a', 'node-b'].map((name) => agentOf(server, name).run(stop.signal));
    await measure(server, directory);
    stop.abort();
    await Promise.all(running);
  } finally {
    stop.abort();
    rmSync(directory, { recursive: true, force: true });
  }
}

function agentOf(server: FakeApiServer, name: string): FakeNode {
  const imageID = (): string => `sha256:${'d1'.repeat(32)}`;
  return new FakeNode({ client: server.client({ fieldManager: 'fake-node' }), name, imageID });
}

async function measure(server: FakeApiServer, directory: string): Promise<void> {
  const { checkpoints, schedules, pending } = amounts;
  say(`${checkpoints} Checkpoints (${pending} to be done), ${schedules} schedules (a run each)`);
  await using controller = await ControllerProcess.start(directory, server.url);
  const seconds = (): string => ((performance.now() - controller.startedAt) / 1000).toFixed(1);
  await until(controller, () => schedulesOf(server).every(isTold));
  say(`every schedule looked at          ${seconds()} s after the start`);
  await until(controller, () => isSteady(server));
  const steady = controller.usage();
  const asked = requestsOfController(server);
  say(`every Checkpoint done, all told    ${seconds()} s`);
  say(
    `memory: peak, then                 ${mebibytes(steady.peakMebibytes)}, ${mebibytes(steady.residentMebibytes)}`,
  );
  say(`processor time                     ${steady.cpuSeconds.toFixed(1)} s`);
  say(`requests to the API server         ${asked}`);
  await pause(REST_MILLIS);
  const rest = controller.usage();
  say(`ten seconds later: memory          ${mebibytes(rest.residentMebibytes)}`);
  say(
    `processor time, requests a second  ${((rest.cpuSeconds - steady.cpuSeconds) / 10).toFixed(2)} s, ${((requestsOfController(server) - asked) / 10).toFixed(1)}`,
  );
}

/** Nothing is left to do, and nobody was forgotten. */
function isSteady(server: FakeApiServer): boolean {
  const tasks = server.all(RESOURCE_TYPES.nodeTasks);
  const checkpoints = server.all<Checkpoint>(RESOURCE_TYPES.checkpoints);
  return (
    tasks.length === 0 &&
    checkpoints.length === amounts.checkpoints + amounts.schedules &&
    checkpoints.every(isFinishedCheckpoint) &&
    schedulesOf(server).every(({ status }) => status?.lastRunToken === TOKEN && status.active === 0)
  );
}

function schedulesOf(server: FakeApiServer): readonly CheckpointSchedule[] {
  return server.all(RESOURCE_TYPES.checkpointSchedules);
}

function isTold({ status }: CheckpointSchedule): boolean {
  return status?.conditions !== undefined;
}

function requestsOfController(server: FakeApiServer): number {
  return server.requests.filter(({ headers }) =>
    headers['user-agent']?.includes('diapause-controller'),
  ).length;
}

async function until(controller: ControllerProcess, done: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MILLIS;
  while (!done()) {
    if (!controller.running) {
      throw new Error('the controller has ended: see its log above');
    }
    if (performance.now() > end) {
      throw new Error(`not done within ${LIMIT_MILLIS / 1000} s`);
    }
    await pause(LOOK_MILLIS);
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

function mebibytes(value: number): string {
  return `${value.toFixed(0)} MiB`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
