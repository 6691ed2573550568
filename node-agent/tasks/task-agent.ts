// Looks for the NodeTasks of this node and does them: some at a time, never two on one pod.
import { API_VERSION } from '../../crds/meta.ts';
import { GROUP, VERSION } from '../../crds/meta.ts';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask, NodeTaskSpec } from '../../crds/node-task.ts';
import type { Client } from '../../kube/client.ts';
import { type Clock, systemClock, untilAborted } from '../../kube/clock.ts';
import { ListWatch, type ListWatchCounters } from '../../kube/list-watch.ts';
import type { Resource } from '../../kube/resource.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import { type Outcome as QueueOutcome, WorkQueue } from '../../kube/work-queue.ts';
import { TaskFailure } from '../task-failure.ts';
import { abandonTask } from './abandon.ts';
import { handlerOf } from './handlers.ts';
import type { Journal, JournalRecord } from './journal.ts';
import { ReceivedBundles } from './received-bundles.ts';
import { releaseLeftovers } from './recovery.ts';
import {
  type AgentIdentity,
  claim,
  hasEnded,
  isWithAnother,
  lostJournal,
  OTHER_AGENT_MILLIS,
} from './task-claim.ts';
import type { Tools } from './task-context.ts';
import type { TaskMetrics } from './task-metrics.ts';
import { TaskRun } from './task-run.ts';

export const NODE_TASKS: ResourceType = {
  group: GROUP,
  version: VERSION,
  plural: 'nodetasks',
  namespaced: true,
};
export const NODE_TASK_API_VERSION = API_VERSION;

const MAX_PARALLEL = 8;
/** Receivers do nothing most of the time, but for long: they must not keep others from their turn. */
const MAX_RECEIVING = 32;
const BUSY_POD_MILLIS = 200;
/** Less than the pod's grace period, with room for cleaning up. */
const DRAIN_MILLIS = 20_000;
export interface TaskAgentOptions {
  readonly client: Client;
  /** our own pod */
  readonly agent: AgentIdentity;
  /** `activeTasks` is ours to tell */
  readonly tools: Omit<Tools, 'activeTasks'>;
  readonly journal: Journal;
  readonly log: AgentLog;
  readonly metrics?: TaskMetrics;
  readonly maxParallel?: number;
  readonly drainMillis?: number;
  readonly clock?: Clock;
}

export interface AgentLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export class TaskAgent {
  readonly #options: TaskAgentOptions;
  readonly #clock: Clock;
  readonly #resource: Resource<NodeTask>;
  readonly #tasks: ListWatch<NodeTask>;
  readonly #queue: WorkQueue;
  readonly #receiving: WorkQueue;
  readonly #runs = new Map<string, TaskRun>();
  readonly #busyPods = new Set<string>();
  /** by task uid: what earlier agents left */
  readonly #left = new Map<string, JournalRecord>();
  /** uids of tasks done here that the cache may still show as unfinished */
  readonly #finished = new Set<string>();
  readonly #tools: Tools;
  readonly #received: ReceivedBundles;

  constructor(options: TaskAgentOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#resource = options.client.resource<NodeTask>(NODE_TASKS);
    this.#tasks = new ListWatch({
      resource: this.#resource,
      namespace: OPERATOR_NAMESPACE,
      fieldSelector: `spec.nodeName=${options.tools.nodeName}`,
      clock: this.#clock,
      onError: (error, stage) => this.#logError(error, { stage: `nodetasks: ${stage}` }),
    });
    this.#queue = new WorkQueue({
      process: (key, signal) => this.#process(key, signal),
      maxParallel: options.maxParallel ?? MAX_PARALLEL,
      clock: this.#clock,
    });
    this.#receiving = new WorkQueue({
      process: (key, signal) => this.#process(key, signal),
      maxParallel: MAX_RECEIVING,
      clock: this.#clock,
    });
    this.#tools = {
      ...options.tools,
      activeTasks: () => new Set([...this.#runs.keys(), ...this.#left.keys()]),
    };
    this.#received = new ReceivedBundles(options.tools.localSpace, options.log);
  }

  /** The list of tasks is known: readiness. */
  get hasSynced(): boolean {
    return this.#tasks.hasSynced;
  }

  get running(): number {
    return this.#runs.size;
  }

  /** Tasks waiting for their turn. */
  get queueDepth(): number {
    return this.#queue.depth;
  }

  get watchCounters(): Readonly<ListWatchCounters> {
    return this.#tasks.counters;
  }

  /** Works until `signal` aborts, then ends in good order. Never rejects for the sake of one task. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#takeUpJournal();
    const watch = new AbortController();
    const watching = this.#tasks.run(watch.signal);
    this.#tasks.onChange((key, old, current) => this.#changed(key, old, current));
    try {
      await this.#tasks.synced(signal);
      await this.#received.sweep(this.#tasks.values(), [...this.#left.keys()]);
      this.#queueForgotten();
      this.#queue.start();
      this.#receiving.start();
      await untilAborted(signal);
    } catch {
      // Only an abort: it ends before it has begun.
    }
    const drainMillis = this.#options.drainMillis ?? DRAIN_MILLIS;
    const queues = [this.#queue, this.#receiving];
    const abandoned = (await Promise.all(queues.map((queue) => queue.drain(drainMillis)))).flat();
    if (abandoned.length > 0) {
      this.#options.log.error({ tasks: abandoned }, 'tasks did not end in time');
    }
    watch.abort(new Error('the agent ends'));
    await watching;
  }

  async #takeUpJournal(): Promise<void> {
    const { journal, log } = this.#options;
    const records = await journal.records((file, error) => this.#logError(error, { file }));
    for (const { record, ...released } of releaseLeftovers(records, journal.bootId)) {
      log.info({ task: record.task.name, ...released }, 'let an application go on');
    }
    for (const record of records) {
      this.#left.set(record.task.uid, record);
    }
  }

  /** Tasks of the journal that do not exist any more: to be undone without a report. */
  #queueForgotten(): void {
    for (const { task } of this.#left.values()) {
      this.#queueOf(task.spec).add(keyOf(task));
    }
  }

  #queueOf({ type }: NodeTaskSpec): WorkQueue {
    return type === 'Receive' ? this.#receiving : this.#queue;
  }

  #changed(key: string, old: NodeTask | undefined, current: NodeTask | undefined): void {
    const uid = (current ?? old)?.metadata.uid ?? '';
    const run = this.#runs.get(uid);
    if (current === undefined) {
      this.#finished.delete(uid);
      run?.cancel(new TaskFailure('Canceled', 'the task was deleted'));
      if (old?.spec.type === 'Receive') {
        this.#received.forget(uid);
      }
      return;
    }
    run?.update(current.spec);
    if (current.spec.cancel === true) {
      run?.cancel(new TaskFailure('Canceled', 'cancelled as asked for'));
    }
    if (run === undefined) {
      this.#queueOf(current.spec).add(key);
    }
  }

  async #process(key: string, shutdown: AbortSignal): Promise<QueueOutcome> {
    await this.#abandonForgotten(key);
    const task = this.#tasks.get(key);
    if (task === undefined || !this.#isOpen(task)) {
      return { type: 'done' };
    }
    const podUid = handlerOf(task.spec)?.podUid(task.spec as never);
    if (podUid !== undefined && this.#busyPods.has(podUid)) {
      return { type: 'again', afterMillis: BUSY_POD_MILLIS };
    }
    if (podUid !== undefined) {
      this.#busyPods.add(podUid);
    }
    try {
      return await this.#do(task, shutdown);
    } catch (error) {
      this.#logError(error, { task: key });
      return { type: 'retry' };
    } finally {
      this.#busyPods.delete(podUid ?? '');
    }
  }

  #isOpen({ metadata, spec, status }: NodeTask): boolean {
    const { uid = '' } = metadata;
    const isOurs = spec.nodeName === this.#tools.nodeName;
    return isOurs && !this.#finished.has(uid) && (!hasEnded(status) || this.#left.has(uid));
  }

  async #do(task: NodeTask, shutdown: AbortSignal): Promise<QueueOutcome> {
    const { agent, log, metrics } = this.#options;
    const { namespace = '', name, uid = '' } = task.metadata;
    const left = this.#left.get(uid);
    if (left === undefined && isWithAnother(task.status, agent.uid, this.#clock.now())) {
      return { type: 'again', afterMillis: OTHER_AGENT_MILLIS };
    }
    if (!(await claim(task, agent, { resource: this.#resource, clock: this.#clock }))) {
      return { type: 'done' };
    }
    const ref = { namespace, name, uid };
    const entry = this.#options.journal.entry({ ...ref, spec: task.spec }, left);
    if (left === undefined && task.status?.acceptedBy !== undefined) {
      await entry.note('ended', { status: lostJournal() });
    }
    const run = new TaskRun({
      resource: this.#resource,
      ref,
      spec: task.spec,
      entry,
      tools: this.#tools,
      clock: this.#clock,
      onError: (error) => this.#logError(error, { task: name }),
      onEnded: ({ state, error }, stageMillis) => {
        log.info({ task: name, state, error, stageMillis }, 'task ended');
        metrics?.stages(task.spec.type, stageMillis);
      },
    });
    log.info({ task: name, owner: task.spec.owner, resumedAt: left?.step }, 'task begun');
    this.#runs.set(uid, run);
    if (task.spec.cancel === true) {
      run.cancel(new TaskFailure('Canceled', 'cancelled as asked for'));
    }
    metrics?.began();
    try {
      const done = await run.run(shutdown);
      this.#finished.add(uid);
      if (done) {
        this.#left.delete(uid);
      }
      return { type: 'done' };
    } finally {
      metrics?.ended(task.spec.type, run.outcome);
      this.#runs.delete(uid);
      // Not sooner: its start takes more than a second of a processor, and somebody may have stood still until now.
      this.#tools.engines.warm();
    }
  }

  async #abandonForgotten(key: string): Promise<void> {
    const uid = this.#tasks.get(key)?.metadata.uid;
    for (const record of this.#left.values()) {
      if (keyOf(record.task) === key && record.task.uid !== uid) {
        await this.#abandon(record);
      }
    }
  }

  async #abandon(record: JournalRecord): Promise<void> {
    const { task } = record;
    const entry = this.#options.journal.entry(task, record);
    await abandonTask(record, entry, this.#tools);
    await entry.remove();
    this.#left.delete(task.uid);
    this.#options.log.info({ task: task.name }, 'undid a task that does not exist any more');
  }

  #logError(error: unknown, facts: object): void {
    this.#options.log.error({ ...facts, err: error }, 'failed');
  }
}

const keyOf = (task: JournalRecord['task']): string => `${task.namespace}/${task.name}`;
