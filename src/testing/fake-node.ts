// A node for tests of the controller: kubelet and agent in one, by polling. Containers "run" at once; NodeTasks end
// as the test says.
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask, NodeTaskStatus, TaskResult } from '../../crds/node-task.ts';
import { isNotFound } from '../../kube/api-error.ts';
import type { Client } from '../../kube/client.ts';
import { formatTime, pause, systemClock } from '../../kube/clock.ts';
import type { Resource } from '../../kube/resource.ts';
import { longRunningContainers, type Pod, type PodStatus } from '../cluster/pod.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import { isFinished } from '../node-task/task.ts';

const POLL_MILLIS = 20;

/** What the agent reports next, or what happens meanwhile. */
export type AgentStep = NodeTaskStatus | (() => Promise<void>);

/** What the agent reports for a task: its statuses one after the other. Null: the agent does not react. */
export type AgentBehaviour = (task: NodeTask) => readonly AgentStep[] | null;

export interface FakeNodeOptions {
  readonly client: Client;
  readonly name: string;
  readonly agent?: AgentBehaviour;
  /** binds pods by itself; with a real scheduler: false */
  readonly schedules?: boolean;
  /** id of an image on this node */
  readonly imageID?: (image: string) => string;
}

/** What a test wants to see or to hold up. */
export interface NodeHooks {
  /** the agent has written a status, and goes on */
  told?(task: NodeTask, status: NodeTaskStatus): void;
  mayGetReady?(pod: Pod): boolean;
  mayEnd?(pod: Pod): boolean;
  ended?(pod: Pod): void;
}

export class FakeNode {
  readonly seenTasks: NodeTask[] = [];
  agent: AgentBehaviour;
  hooks: NodeHooks = {};
  /** what the agent says of its node when it is asked */
  told: Pick<TaskResult, 'clocks' | 'cpuFeatures'> = {};
  /** neither kubelet nor agent does anything */
  isDown = false;
  readonly #options: FakeNodeOptions;
  readonly #pods: Resource<Pod>;
  readonly #tasks: Resource<NodeTask>;
  readonly #done = new Set<string>();
  #containers = 0;

  constructor(options: FakeNodeOptions) {
    this.#options = options;
    this.agent = options.agent ?? succeed;
    this.#pods = options.client.resource(RESOURCE_TYPES.pods);
    this.#tasks = options.client.resource(RESOURCE_TYPES.nodeTasks);
  }

  /** Until `signal` aborts. @throws what the API server refuses */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (!this.isDown) {
          await this.#kubelet(signal);
          await this.#runTasks(signal);
        }
      } catch (error) {
        // Objects vanish between a list and a write.
        if (!signal.aborted && !isNotFound(error)) {
          throw error;
        }
      }
      await pause(systemClock, POLL_MILLIS, signal);
    }
  }

  async #kubelet(signal: AbortSignal): Promise<void> {
    const { items } = await this.#pods.list({ signal });
    for (const pod of items) {
      if (pod.spec.nodeName === undefined && this.#options.schedules !== false) {
        await this.#bind(pod, signal);
      } else if (pod.spec.nodeName === this.#options.name) {
        await this.#run(pod, signal);
      }
    }
  }

  async #bind(pod: Pod, signal: AbortSignal): Promise<void> {
    const required =
      pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    const fields = required?.nodeSelectorTerms[0]?.matchFields ?? [];
    const fits = fields.every(
      ({ operator, values = [] }) => values.includes(this.#options.name) === (operator === 'In'),
    );
    if (fits) {
      await this.#pods.mergePatch(
        pod.metadata,
        { spec: { nodeName: this.#options.name } },
        { signal },
      );
    }
  }

  async #run(pod: Pod, signal: AbortSignal): Promise<void> {
    if (pod.metadata.deletionTimestamp !== undefined) {
      return await this.#end(pod, signal);
    }
    const gates = pod.spec.readinessGates?.map(({ conditionType }) => conditionType) ?? [];
    const open = gates.every((gate) =>
      pod.status?.conditions?.some((c) => c.type === gate && c.status === 'True'),
    );
    const passed = open && this.hooks.mayGetReady?.(pod) !== false;
    const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    if (pod.status?.phase !== 'Running' || (passed && ready !== true)) {
      const status = { status: this.#podStatus(pod, passed) };
      await this.#pods.mergePatchStatus(pod.metadata, status, { signal });
    }
  }

  async #end(pod: Pod, signal: AbortSignal): Promise<void> {
    if (this.hooks.mayEnd?.(pod) === false) {
      return;
    }
    this.hooks.ended?.(pod);
    const { uid = '' } = pod.metadata;
    await this.#pods.delete(pod.metadata, { uid, gracePeriodSeconds: 0, signal });
  }

  #podStatus(pod: Pod, ready: boolean): PodStatus {
    const others = pod.status?.conditions?.filter(({ type }) => type !== 'Ready') ?? [];
    const known = pod.status?.containerStatuses;
    const { imageID = () => '' } = this.#options;
    return {
      phase: 'Running',
      conditions: [...others, { type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses:
        known ??
        longRunningContainers(pod.spec).map(({ name, image = '' }) => ({
          name,
          image,
          ready,
          restartCount: 0,
          containerID: `containerd://${String(++this.#containers).padStart(64, '0')}`,
          imageID: imageID(image),
          state: { running: { startedAt: formatTime(Date.now()) } },
        })),
    };
  }

  async #runTasks(signal: AbortSignal): Promise<void> {
    const { items } = await this.#tasks.list({ namespace: OPERATOR_NAMESPACE, signal });
    for (const task of items) {
      const uid = task.metadata.uid ?? '';
      const mine = task.spec.nodeName === this.#options.name && !isFinished(task);
      if (!mine || (this.#done.has(uid) && task.spec.cancel !== true)) {
        continue;
      }
      const isQuestion = task.spec.type === 'Describe';
      const statuses = isQuestion ? this.#describe() : this.agent(task);
      if (!this.#done.has(uid) && !isQuestion) {
        this.seenTasks.push(task);
      }
      this.#done.add(uid);
      await this.#tell(task, statuses ?? [], signal);
    }
  }

  #describe(): readonly AgentStep[] {
    return [{ state: 'Accepted' }, { state: 'Succeeded', result: this.told }];
  }

  async #tell(task: NodeTask, steps: readonly AgentStep[], signal: AbortSignal): Promise<void> {
    for (const step of steps) {
      if (typeof step === 'function') {
        await step();
        continue;
      }
      const patch = { status: stamped(step) };
      const answer = await this.#tasks.mergePatchStatus(task.metadata, patch, { signal });
      // What cannot be called back is done only if nobody has called it back.
      if (step.committed === true && answer.spec.cancel === true) {
        const error = { code: 'Canceled', message: 'in time', retryable: false };
        const status = stamped({ state: 'Canceled', error });
        await this.#tasks.mergePatchStatus(task.metadata, { status }, { signal });
        return;
      }
      this.hooks.told?.(task, step);
    }
  }
}

function stamped(status: NodeTaskStatus): NodeTaskStatus {
  const acceptedBy = { agentPod: 'diapause-agent-fake', uid: 'agent-fake' };
  return { acceptedBy, heartbeatTime: formatTime(Date.now()), ...status };
}

/** Goes well, in several stages. */
export function succeed(task: NodeTask): readonly NodeTaskStatus[] {
  return [
    { state: 'Accepted' },
    { state: 'Running', stage: 'frozen' },
    { state: 'Running', stage: 'saving-pages', bytesDone: 1, bytesTotal: 2 },
    { state: 'Succeeded', stage: 'done', result: resultOf(task) },
  ];
}

export function failWith(
  code: string,
  message = 'as the test says',
  retryable = false,
): AgentBehaviour {
  return () => [{ state: 'Accepted' }, { state: 'Failed', error: { code, message, retryable } }];
}

function resultOf({ spec }: NodeTask): TaskResult {
  const containers =
    spec.type === 'Dump'
      ? spec.dump.containers
      : spec.type === 'Restore'
        ? spec.restore.containers
        : [];
  return {
    containers: containers.map(({ name }) => ({
      name,
      processes: 1,
      threads: 2,
      memoryBytes: 2 ** 20,
      rootfsDiffBytes: 0,
    })),
    report: [],
    ...(spec.type === 'Dump' && {
      freezeMillis: 12.5,
      frozenAt: formatTime(Date.now()),
      resumedAt: formatTime(Date.now()),
      bundleBytes: 110_100_480,
      bundleDigest: `sha256:${'ee'.repeat(32)}`,
      requirements: { arch: 'x86_64' },
    }),
    ...(spec.type === 'Restore' && { restoreMillis: 40 }),
  };
}
