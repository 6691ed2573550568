// An application that is migrated in a small cluster: who runs it, told by what agents and kubelets do. Each change is
// counted at the moment that is worst for us: running as soon as it may run, standing still only when it surely does.
import { setTimeout as sleep } from 'node:timers/promises';
import { LABELS } from '../../crds/names.ts';
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { isNotFound } from '../../kube/api-error.ts';
import { formatTime } from '../../kube/clock.ts';
import { ignoring } from '../cluster/actions.ts';
import type { Pod } from '../cluster/pod.ts';
import { type AgentStep, type FakeNode, succeed } from './fake-node.ts';
import { RESOURCE_TYPES } from '../cluster/types.ts';
import type { SmallCluster } from './small-cluster.ts';

/** Where in the saga something goes wrong. */
export type SagaPoint =
  | 'preparing'
  | 'dumping'
  | 'frozen'
  | 'restoring'
  | 'committed'
  | 'restored'
  | 'releasing';

const RECEIVER = {
  address: '10.0.0.2',
  port: 40_001,
  fingerprint: `sha256:${'ab'.repeat(32)}`,
} as const;

const LOOK_MILLIS = 20;
const MAX_LOOKS = 250;

export type Fault = () => Promise<void> | void;

export class MigratedApplication {
  source: 'running' | 'frozen' | 'gone' = 'running';
  target: 'absent' | 'running' | 'gone' = 'absent';
  /** both ran, or neither could ever run again */
  readonly violations: string[] = [];
  readonly history: string[] = [];
  /** certificate that the target was told to let in */
  sender: string | undefined;
  readonly #at: SagaPoint | undefined;
  readonly #fault: Fault;
  /** the agent of the point dies there: it reports nothing more about the task at hand */
  readonly #agentDies: boolean;
  readonly #cluster: SmallCluster;
  #isReached = false;
  #isOver = false;

  constructor(
    cluster: SmallCluster,
    fault?: { readonly at: SagaPoint; readonly does: Fault | 'agent dies' },
  ) {
    this.#cluster = cluster;
    this.#at = fault?.at;
    this.#agentDies = fault?.does === 'agent dies';
    this.#fault = typeof fault?.does === 'function' ? fault.does : () => undefined;
    for (const node of cluster.nodes) {
      this.#watch(node);
    }
  }

  get running(): readonly string[] {
    return [
      ...(this.source === 'running' ? ['source'] : []),
      ...(this.target === 'running' ? ['target'] : []),
    ];
  }

  /** Lets go wrong what is to go wrong at this point, once. */
  async reach(point: SagaPoint): Promise<void> {
    if (point === this.#at && !this.#isReached) {
      this.#isReached = true;
      await this.#fault();
      this.#isOver = true;
    }
  }

  #watch(node: FakeNode): void {
    const seen = new Set<string>();
    node.agent = (task) => {
      const { uid = '' } = task.metadata;
      // Asked again about a task that was cancelled meanwhile: this agent has said all that it had to say.
      const steps = seen.has(uid) ? null : this.#stepsOf(task);
      seen.add(uid);
      return steps;
    };
    node.hooks = {
      told: (task, status) => this.#told(task, status),
      mayGetReady: (pod) => !isRestored(pod) || !this.#holds('restored'),
      mayEnd: (pod) => !isSource(pod) || !this.#holds('releasing'),
      ended: (pod) => this.#ended(pod),
    };
  }

  /** A pod stays as it is until the fault of that point is over. */
  #holds(point: SagaPoint): boolean {
    if (this.#at !== point || this.#isOver) {
      return false;
    }
    void this.reach(point);
    return true;
  }

  #stepsOf(task: NodeTask): readonly AgentStep[] {
    const done = succeed(task).at(-1) as NodeTaskStatus;
    const result = { ...done.result, resumedAt: new Date().toISOString() };
    switch (task.spec.type) {
      case 'Dump': {
        const { fingerprint } = RECEIVER;
        const frozen = { state: 'Running', stage: 'frozen', transfer: { fingerprint } } as const;
        const steps = this.#cut([{ state: 'Accepted' }, 'dumping', frozen, 'frozen', done]);
        // The other side has it all before this one says so.
        const arrived = async (): Promise<void> => await this.#arrive(done.result);
        return [...steps.slice(0, -1), arrived, ...steps.slice(-1)];
      }
      case 'Restore': {
        const committed = { state: 'Running', stage: 'restoring-files', committed: true } as const;
        const restored = { ...done, result };
        return this.#cut([{ state: 'Accepted' }, 'restoring', committed, 'committed', restored]);
      }
      case 'Receive':
        return [{ state: 'Accepted' }, { state: 'Running', transfer: RECEIVER }];
      case 'Thaw':
      case 'DeleteBundle':
      case 'Verify':
      case 'Describe':
        return [{ state: 'Accepted' }, done];
    }
  }

  /** Of an agent that dies nothing is heard after the point. */
  #cut(steps: readonly (NodeTaskStatus | SagaPoint)[]): readonly AgentStep[] {
    const end = steps.findIndex((step) => step === this.#at);
    const dies = this.#agentDies && !this.#isReached && end >= 0;
    const told = (dies ? steps.slice(0, end) : steps).map((step): AgentStep => {
      return typeof step === 'string' ? async () => await this.reach(step) : step;
    });
    if (!dies) {
      return told;
    }
    this.#isReached = true;
    const lastHeardOf = formatTime(Date.now() - 3_600_000);
    return [...told, { state: 'Running', heartbeatTime: lastHeardOf }];
  }

  /** The agent of the other node reports what it received, if anything was sent to it by one that it was told of. */
  async #arrive(result: NodeTaskStatus['result']): Promise<void> {
    const receive = await this.#introduced();
    if (receive?.status?.state === 'Running') {
      const status = { ...receive.status, state: 'Succeeded', result };
      const tasks = this.#cluster.server.client().resource<NodeTask>(RESOURCE_TYPES.nodeTasks);
      await ignoring(isNotFound, tasks.mergePatchStatus(receive.metadata, { status }));
    }
  }

  async #introduced(): Promise<NodeTask | undefined> {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const receive = this.#cluster.tasks().find(({ spec }) => spec.type === 'Receive');
      if (receive?.spec.type !== 'Receive' || receive.spec.cancel === true) {
        return undefined;
      }
      this.sender = receive.spec.receive.senderFingerprint;
      if (this.sender !== undefined) {
        return receive;
      }
      await sleep(LOOK_MILLIS);
    }
    return undefined;
  }

  #told({ spec }: NodeTask, { state, stage, committed }: NodeTaskStatus): void {
    if (spec.type === 'Dump' && stage === 'frozen' && spec.dump.afterDump === 'KeepFrozen') {
      this.#set({ source: 'frozen' });
    } else if (spec.type === 'Dump' && (state === 'Failed' || state === 'Canceled')) {
      this.#set({ source: 'running' });
    } else if (spec.type === 'Thaw' && this.source === 'frozen') {
      this.#set({ source: 'running' });
    } else if (spec.type === 'Restore' && committed === true) {
      this.#set({ target: 'running' });
    }
  }

  #ended(pod: Pod): void {
    if (isSource(pod)) {
      this.#set({ source: 'gone' });
    } else if (this.target === 'running' && isRestored(pod)) {
      this.#set({ target: 'gone' });
    }
  }

  #set(change: Partial<Pick<MigratedApplication, 'source' | 'target'>>): void {
    Object.assign(this, change);
    this.history.push(`source ${this.source}, target ${this.target}`);
    const bothRun = this.running.length > 1;
    const lost = this.source === 'gone' && this.target !== 'running';
    if (bothRun || lost) {
      this.violations.push(this.history.at(-1) ?? '');
    }
  }
}

/** A replica of a StatefulSet that takes over has the same name. */
function isSource({ metadata }: Pod): boolean {
  return metadata.name === 'redis' && metadata.labels?.[LABELS.restoreUid] === undefined;
}

function isRestored({ metadata }: Pod): boolean {
  return metadata.labels?.[LABELS.role] === 'restored';
}
