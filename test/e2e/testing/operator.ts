// The operator's own pods, and ways to end them at a chosen moment, as a crash would.
import { existsSync, readFileSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { LABELS, OPERATOR_NAMESPACE } from '../../../crds/names.ts';
import type { JournalRecord, JournalStep } from '../../../node-agent/tasks/journal.ts';
import type { Pod } from '../../../src/cluster/pod.ts';
import { type Cluster, CLUSTER_FOLDER, type NodeName } from './cluster.ts';
import { eventually } from './eventually.ts';
import { type HostProcess, killProcess, mainProcess, processesOf } from './node-processes.ts';

const STEP_MILLIS = 60_000;
/** The faults of other tests may be in the way. */
const LATE_STEP_MILLIS = 150_000;

/** The agent of a node once it is ready and its process is there. */
export async function readyAgent(cluster: Cluster, nodeName: NodeName): Promise<Pod> {
  const labelSelector = `${LABELS.role}=agent`;
  const pods = await eventually(
    `the agent of ${nodeName} is ready`,
    async () => {
      const list = await cluster.pods.list({ namespace: OPERATOR_NAMESPACE, labelSelector });
      return list.items.filter(
        (pod) => pod.spec.nodeName === nodeName && isReadyPod(pod) && runsAgent(pod),
      );
    },
    (ready) => ready.length === 1,
  );
  return pods[0]!;
}

const isReadyPod = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status?.containerStatuses?.every(({ ready }) => ready === true) === true;

/** The status of a pod whose process was just killed is still that of before. */
function runsAgent(pod: Pod): boolean {
  return processesOf(pod).some(({ arguments: words }) =>
    words.some((word) => word.endsWith('agent.js')),
  );
}

export type AgentPart = 'agent' | 'engine';

export interface KillOrder {
  readonly nodeName: NodeName;
  /** name of the Checkpoint or Restore that the task works for */
  readonly owner: { readonly namespace: string; readonly name: string };
  /** killed as soon as the agent's journal says so ... */
  readonly step: JournalStep;
  /** ... or so much later */
  readonly afterMillis?: number;
  /** default: the agent itself */
  readonly part?: AgentPart;
}

export interface Trap {
  /**
   * Resolves with true when SIGKILL was sent (or is about to be), with false when the task came and went and the step was
   * not seen: a short one passes unseen where the machine is busy. Rejects when the task never came.
   */
  readonly sprung: Promise<boolean>;
}

/** Watches the agent's journal for the step, from before the work begins. */
export async function armKill(cluster: Cluster, order: KillOrder): Promise<Trap> {
  const { nodeName, owner, step, afterMillis = 0, part = 'agent' } = order;
  const pod = await readyAgent(cluster, nodeName);
  const agent = mainProcess(pod, 'agent.js');
  const folder = join(CLUSTER_FOLDER, 'run', nodeName, 'var/lib/diapause/journal');
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  let came = false;
  const look = (): void => {
    const record = recordsIn(folder).find(
      ({ task }) =>
        task.spec.owner.name === owner.name && task.spec.owner.namespace === owner.namespace,
    );
    if (record === undefined && came) {
      watcher.close();
      resolve(false);
    }
    came ||= record !== undefined;
    if (record?.step === step) {
      watcher.close();
      const kill = (): void => killProcess(pod, part === 'agent' ? agent : engineOf(pod, record));
      try {
        void (afterMillis === 0 ? kill() : setTimeout(kill, afterMillis));
        resolve(true);
      } catch (error) {
        reject(error as Error);
      }
    }
  };
  const watcher = watch(folder, look);
  const timer = setTimeout(() => {
    watcher.close();
    reject(new Error(`the task of ${owner.name} on ${nodeName} never came to the step ${step}`));
  }, STEP_MILLIS);
  look();
  return { sprung: promise.finally(() => clearTimeout(timer)) };
}

/** Names of what lies on a node's disk of bundles that only pass through. */
export function passingThrough(nodeName: NodeName): readonly string[] {
  const folder = join(CLUSTER_FOLDER, 'run', nodeName, 'var/lib/diapause/transfer');
  return existsSync(folder) ? readdirSync(folder).map((name) => `${nodeName}: ${name}`) : [];
}

/** Where the step cannot come before this watches. */
export async function killAtStep(cluster: Cluster, order: KillOrder): Promise<void> {
  const met = await (await armKill(cluster, order)).sprung;
  if (!met) throw new Error(`the step ${order.step} of ${order.owner.name} passed unseen`);
}

function engineOf(pod: Pod, { facts }: JournalRecord): HostProcess {
  // The journal has the engine's pid as the node sees it; here it has another.
  const engines = processesOf(pod).filter(({ arguments: words }) =>
    words.some((word) => word.endsWith('engine.js')),
  );
  const found = engines.find(({ startTime }) => startTime === String(facts.engine?.startTime));
  if (found === undefined) {
    throw new Error('the engine of the journal does not run');
  }
  return found;
}

function recordsIn(folder: string): readonly JournalRecord[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => {
      try {
        return [JSON.parse(readFileSync(join(folder, file), 'utf8')) as JournalRecord];
      } catch {
        // Removed in between.
        return [];
      }
    });
}

/** Kills whatever agent runs there now, if one does. */
export async function killAgent(cluster: Cluster, nodeName: NodeName): Promise<void> {
  const labelSelector = `${LABELS.role}=agent`;
  const { items } = await cluster.pods.list({ namespace: OPERATOR_NAMESPACE, labelSelector });
  for (const pod of items.filter(({ spec }) => spec.nodeName === nodeName)) {
    for (const found of runningAgents(pod)) {
      killProcess(pod, found);
    }
  }
}

function runningAgents(pod: Pod): readonly HostProcess[] {
  try {
    return processesOf(pod).filter(({ arguments: words }) =>
      words.some((word) => word.endsWith('agent.js')),
    );
  } catch {
    // Its container is being started.
    return [];
  }
}

/** In the order in which they come. */
const STEPS: readonly JournalStep[] = ['begun', 'staging', 'engine', 'saved', 'sealing', 'ended'];

/** Waits until the agent of a node has noted this step of a task of `owner`, or a later one: on a busy node it may be short. */
export async function untilStep(
  nodeName: NodeName,
  owner: KillOrder['owner'],
  step: JournalStep,
): Promise<void> {
  const folder = join(CLUSTER_FOLDER, 'run', nodeName, 'var/lib/diapause/journal');
  const isThere = (): boolean =>
    recordsIn(folder).some(
      ({ task: { spec }, step: now }) =>
        spec.owner.name === owner.name &&
        spec.owner.namespace === owner.namespace &&
        STEPS.indexOf(now) >= STEPS.indexOf(step),
    );
  await new Promise<void>((resolve, reject) => {
    const end = (done: () => void): void => {
      watcher.close();
      clearTimeout(timer);
      done();
    };
    const look = (): void => (isThere() ? end(resolve) : undefined);
    const watcher = watch(folder, look);
    const timer = setTimeout(
      () => end(() => reject(new Error(`no task of ${owner.name} on ${nodeName} came to ${step}`))),
      LATE_STEP_MILLIS,
    );
    look();
  });
}

/** Kills the replica that leads. @returns its pod's name */
export async function killLeader(cluster: Cluster): Promise<string> {
  const lease = await cluster
    .kubectl(OPERATOR_NAMESPACE)
    .run(['get', 'lease', '-o=jsonpath={range .items[*]}{.spec.holderIdentity}{"\\n"}{end}']);
  const list = await cluster.pods.list({
    namespace: OPERATOR_NAMESPACE,
    labelSelector: 'app.kubernetes.io/name=diapause-controller',
  });
  const leader = list.items.find(({ metadata }) =>
    lease.split('\n').some((holder) => holder.startsWith(metadata.name)),
  );
  if (leader === undefined) {
    throw new Error(`no controller leads: ${lease}`);
  }
  killProcess(leader, mainProcess(leader, 'controller.js'));
  return leader.metadata.name;
}
