// How long a redis under load stands still for its client when it moves to the other node: through a store (Cold), from node to
// node (Direct), and with most pages sent ahead (PreCopy), in turn, in one run. The cluster is up:
// `node test/bench/migration/main.ts --mib 1024 --rounds 2 --strategies Cold,PreCopy`.
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Migration } from '../../../crds/migration.ts';
import { pod as sketchedPod } from '../../../deploy/demo/manifests.ts';
import { connect, type NodeName } from '../../e2e/testing/cluster.ts';
import { isOver, migrate, untilMigration } from '../../e2e/testing/migrations.ts';
import { Scene, verdict } from '../../e2e/testing/scene.ts';
import { ClientProcess } from './client-process.ts';
import { Processors } from './processors.ts';
import type { Moved } from './redis-client.ts';
import { stagesOf } from './stages.ts';

const STRATEGIES = ['Cold', 'Direct', 'PreCopy'] as const;
type Strategy = (typeof STRATEGIES)[number];
const KEYS_OF_THE_LOAD = 2;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '2' },
    strategies: { type: 'string', default: STRATEGIES.join(',') },
  },
});
const mib = Number(values.mib);
const rounds = Number(values.rounds);
const strategies = STRATEGIES.filter((one) => values.strategies.split(',').includes(one));
const cluster = connect();
const gaps: Record<Strategy, number[]> = { Cold: [], Direct: [], PreCopy: [] };
/** of both nodes, in the gaps */
const used: Record<Strategy, number[]> = { Cold: [], Direct: [], PreCopy: [] };

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();

async function main(): Promise<void> {
  await using scene = await Scene.create(cluster, 'bench-migration');
  const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1 };
  const sketch = { name: 'redis', image: 'demo/redis:dev', nodeName: 'node-a', readinessProbe };
  const [pod] = await scene.run(sketchedPod(sketch) as Parameters<Scene['run']>[0]);
  using client = ClientProcess.start('node-a');
  const address = pod?.status?.podIP ?? '';
  const { filledKeys } = await client.ask({ do: 'fill', address, mib });
  await client.ask({ do: 'follow', address });
  using processors = await Processors.watch(cluster);
  say(`redis holds ${mib} MiB in ${filledKeys} keys, a client writes without rest`);
  let name = 'redis';
  // Who begins alternates: Cold, Direct, Direct, Cold.
  const order = Array.from({ length: rounds }, (_, round) =>
    round % 2 === 0 ? strategies : strategies.toReversed(),
  ).flat();
  for (const [trip, strategy] of order.entries()) {
    const journey = { name: `trip-${trip}`, strategy, podName: name, filledKeys };
    name = await move(
      { scene, client, processors },
      { ...journey, to: trip % 2 === 0 ? 'node-b' : 'node-a' },
    );
  }
  await scene.leave();
  compare('seen by the client', gaps);
  compare('of processors in that time', used);
}

function compare(what: string, measured: Readonly<Record<Strategy, readonly number[]>>): void {
  const cold = median(measured.Cold);
  const told = strategies.map((strategy) => {
    const millis = median(measured[strategy]);
    const ratio = strategy === 'Cold' ? '' : ` (${(millis / cold).toFixed(3)} of Cold)`;
    return `${strategy} ${millis} ms${ratio}`;
  });
  say(`${mib} MiB, ${what}: ${told.join(', ')}`);
}

interface Stage {
  readonly scene: Scene;
  readonly client: ClientProcess;
  readonly processors: Processors;
}

interface Journey {
  readonly name: string;
  readonly strategy: Strategy;
  readonly podName: string;
  readonly to: NodeName;
  readonly filledKeys: number;
}

/** @returns the name of the pod that redis lives in now */
async function move(stage: Stage, journey: Journey): Promise<string> {
  const { scene, client, processors } = stage;
  const { name, strategy, podName, to } = journey;
  const since = new Date();
  await migrate(scene, name, { podRef: { name: podName }, target: { nodeName: to }, strategy });
  const placed = await untilMigration(scene, name, 'has a pod', ({ status }) => {
    return status?.target?.podUID !== undefined;
  });
  const newName = placed.status?.target?.podName ?? '';
  const arrival = client.ask({ do: 'expect', address: await addressOf(scene, newName) });
  const moved = arrival.then((seen) => {
    used[strategy].push(processors.usedInLast(seen.gapMillis));
    return seen;
  });
  moved.catch(() => undefined);
  const over = await untilMigration(scene, name, 'ends', isOver);
  if (!verdict(over).startsWith('Completed: ')) {
    throw new Error(`${name}: ${verdict(over)}`);
  }
  tell(journey, over, await moved);
  for (const line of await stagesOf(scene, since)) {
    say(`    ${line}`);
  }
  return newName;
}

async function addressOf(scene: Scene, podName: string): Promise<string> {
  const wait = ['wait', '--for=jsonpath={.status.podIP}', `pod/${podName}`, '--timeout=60s'];
  await scene.kubectl.run(wait);
  return (await scene.pod(podName)).status?.podIP ?? '';
}

/** @throws Error when redis does not know what its client does */
function tell({ name, strategy, filledKeys }: Journey, { status }: Migration, moved: Moved): void {
  const { gapMillis, requests, before, after, keys } = moved;
  if (after < before + 1 || keys !== filledKeys + KEYS_OF_THE_LOAD) {
    throw new Error(`${name}: count ${before} became ${after}, ${keys} keys`);
  }
  gaps[strategy].push(gapMillis);
  const told = `by status.downtimeMillis ${status?.downtimeMillis} ms`;
  say(`${strategy}: ${gapMillis.toFixed(0)} ms seen by the client, ${told}; ${requests} requests`);
  say(`    ${used[strategy].at(-1)?.toFixed(0)} ms of processors on both nodes in that time`);
  for (const { number, bytes, dirtyBytes, millis } of status?.rounds ?? []) {
    const left = `${(dirtyBytes / 1024).toFixed(0)} KiB left`;
    say(
      `    round ${number}: ${(bytes / 1024).toFixed(0)} KiB in ${millis.toFixed(0)} ms, ${left}`,
    );
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return Math.round(((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2);
}
