// What a handler gets to work with, and how it tells that it is not done but may be taken up later.
import type {
  NodeTaskSpec,
  TaskContainer,
  TaskPod,
  TaskResult,
  TaskRound,
  TaskStore,
  TransferPoint,
} from '../../crds/node-task.ts';
import type { LocalSpace } from '../transfer/local-space.ts';
import type { RootfsWorker } from '../bundle/rootfs-diff/rootfs-worker.ts';
import type { ExecRequest, ExecResult } from '../container/cri-messages.ts';
import type { FoundContainer } from '../container/find-container.ts';
import type { EngineSource } from './engine-pool.ts';
import type { StoreSession } from './holder.ts';
import type { JournalEntry } from './journal.ts';

/** Where a task is, for `kubectl get` and progress bars. */
export interface Progress {
  /** a new stage begins; its bytes count from 0 */
  stage(name: string, bytesTotal?: number): void;
  bytes(done: number, total?: number): void;
  /** how the other agent of a transfer gets to us, or knows us; told at once */
  transfer(point: TransferPoint): void;
  /** all rounds of copying so far */
  rounds(rounds: readonly TaskRound[]): void;
}

export interface FindRequest {
  readonly pod: TaskPod;
  readonly signal: AbortSignal;
  readonly sharesProcessNamespace?: boolean;
}

/** Everything a handler touches the world with. */
export interface Tools {
  readonly nodeName: string;
  /** of this software, for manifests */
  readonly version: string;
  /** a folder of the node for passing files */
  readonly stateFolder: string;
  /** leads to the node's root file system */
  readonly nodeRoot: string;
  readonly engines: EngineSource;
  readonly rootfs: RootfsWorker;
  /** for bundles that only pass through this node */
  readonly localSpace: LocalSpace;
  /** of our own pod: where other agents reach us */
  readonly podAddress: string;
  findContainer(wanted: TaskContainer, request: FindRequest): Promise<FoundContainer>;
  /** runs a command inside a container; see RuntimeClient.exec */
  exec(request: ExecRequest, signal: AbortSignal): Promise<ExecResult>;
  openStore(store: TaskStore, signal: AbortSignal): Promise<StoreSession>;
  /** uids of tasks in whose staging directories this agent works */
  activeTasks(): ReadonlySet<string>;
}

export interface TaskContext<Spec extends NodeTaskSpec = NodeTaskSpec> {
  readonly uid: string;
  readonly spec: Spec;
  /** aborts with a TaskFailure (cancelled, out of time) or with a HandOver (the agent ends) */
  readonly signal: AbortSignal;
  readonly journal: JournalEntry;
  readonly progress: Progress;
  readonly tools: Tools;
  /**
   * Asks for leave to do what cannot be called back, right before doing it: two writes to one object, and the API server
   * orders them. Either whoever cancels finds `committed`, or we find `cancel` here.
   *
   * @throws TaskFailure Canceled when the task was called back, TaskFailed when nobody could be asked
   */
  commit(): Promise<void>;
  /** What the controller adds to the specification while the task runs. Rejects with the reason of `signal`. */
  later<T>(pick: (spec: Spec) => T | undefined): Promise<T>;
}

/** The agent ends in the middle; its successor finds everything in the journal. */
export class HandOver extends Error {
  constructor() {
    super('the agent is ending; its successor goes on');
    this.name = 'HandOver';
  }
}

export type TaskType = NodeTaskSpec['type'];
export type SpecOf<Type extends TaskType> = Extract<NodeTaskSpec, { readonly type: Type }>;

/** One type of task. */
export interface TaskHandler<Type extends TaskType> {
  readonly type: Type;
  /** pod that must not have a second task at the same time */
  podUid(spec: SpecOf<Type>): string | undefined;
  /** @throws TaskFailure, HandOver; nothing is left behind but what the journal says */
  run(context: TaskContext<SpecOf<Type>>): Promise<TaskResult>;
  /**
   * Takes up what an earlier agent left at `context.journal.step`: finishes it, or undoes it and throws.
   * Whatever that agent stopped runs already (see recovery.ts).
   */
  resume(context: TaskContext<SpecOf<Type>>): Promise<TaskResult>;
  /** What an earlier agent left can only be finished, even if it was called back since: the result is there. */
  mustFinish?(journal: JournalEntry): boolean;
  /** Undoes what an earlier agent left; nobody wants the result any more. */
  abandon(context: TaskContext<SpecOf<Type>>): Promise<void>;
}
