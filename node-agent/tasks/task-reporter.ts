// Writes a task's status: accepted, progress and heartbeat while it runs, the outcome until it is heard.
import type { NodeTask, NodeTaskStatus, TaskRound, TransferPoint } from '../../crds/node-task.ts';
import { ApiError, isConflict, isInvalid, isNotFound } from '../../kube/api-error.ts';
import { type BackoffPolicy, backoffMillis } from '../../kube/backoff.ts';
import { type Clock, formatTime, pause, type Timer } from '../../kube/clock.ts';
import type { Resource } from '../../kube/resource.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import type { Outcome } from './outcome.ts';
import { outcomeStatus } from './outcome.ts';
import type { Progress } from './task-context.ts';

const HEARTBEAT_MILLIS = 10_000;
/** A new stage is told soon, but not each of several that follow at once. */
const STAGE_DELAY_MILLIS = 250;
const REQUEST_MILLIS = 10_000;
/** With the pauses between them about as long as a controller takes to give up on us. */
const COMMIT_ATTEMPTS = 8;
const BACKOFF: BackoffPolicy = { baseMillis: 200, maxMillis: 10_000 };

export interface TaskRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface ReporterOptions {
  readonly resource: Resource<NodeTask>;
  readonly ref: TaskRef;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/** Progress of one running task. Failures to write are told and forgotten: the next heartbeat says it all again. */
export class TaskReporter implements Progress, Disposable {
  readonly #options: ReporterOptions;
  readonly #stageMillis: Record<string, number> = {};
  #stage = 'starting';
  #stageSince: number;
  #bytesDone = 0;
  #bytesTotal = 0;
  #transfer: TransferPoint | undefined;
  #rounds: readonly TaskRound[] | undefined;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#stageSince = options.clock.monotonicMillis();
  }

  /** How long each stage lasted, for the log. */
  get stageMillis(): Readonly<Record<string, number>> {
    this.#endStage();
    return this.#stageMillis;
  }

  /** What of the progress is part of the outcome: a short task ends before it was told. */
  get lasting(): Pick<NodeTaskStatus, 'rounds'> {
    return this.#rounds === undefined ? {} : { rounds: this.#rounds };
  }

  /** Tells at once that the task runs, and from then on that it still does. */
  start(): void {
    this.#schedule(0);
  }

  stage(name: string, bytesTotal = 0): void {
    this.#endStage();
    this.#stage = name;
    this.#bytesDone = 0;
    this.#bytesTotal = bytesTotal;
    this.#schedule(STAGE_DELAY_MILLIS);
  }

  bytes(done: number, total?: number): void {
    this.#bytesDone = done;
    this.#bytesTotal = total ?? this.#bytesTotal;
  }

  transfer(point: TransferPoint): void {
    this.#transfer = point;
    this.#schedule(0);
  }

  rounds(rounds: readonly TaskRound[]): void {
    this.#rounds = rounds;
    this.#schedule(STAGE_DELAY_MILLIS);
  }

  /** See TaskContext.commit. */
  async commit(signal: AbortSignal): Promise<void> {
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      try {
        const task = await patchStatus(this.#options, { ...this.#status, committed: true });
        return refuseCancelled(task);
      } catch (error) {
        // Whether or not it was heard: without an answer nothing is begun.
        if (!isPassing(error) || failures === COMMIT_ATTEMPTS) {
          throw notCommitted(error);
        }
      }
      const { clock } = this.#options;
      await pause(clock, backoffMillis(BACKOFF, failures, Math.random), signal);
    }
  }

  /** No write of progress may come after the outcome. */
  async stop(): Promise<void> {
    this[Symbol.dispose]();
    await this.#writing;
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #endStage(): void {
    const now = this.#options.clock.monotonicMillis();
    const millis = (this.#stageMillis[this.#stage] ?? 0) + now - this.#stageSince;
    this.#stageMillis[this.#stage] = Math.round(millis);
    this.#stageSince = now;
  }

  #schedule(delayMillis: number): void {
    if (this.#stopped) {
      return;
    }
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(delayMillis, () => {
      this.#writing = this.#writing.then(() => this.#write());
      this.#schedule(HEARTBEAT_MILLIS);
    });
  }

  async #write(): Promise<void> {
    if (this.#stopped) {
      return;
    }
    try {
      await patchStatus(this.#options, this.#status);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  get #status(): NodeTaskStatus {
    return {
      state: 'Running',
      heartbeatTime: formatTime(this.#options.clock.now()),
      stage: this.#stage,
      bytesDone: Math.floor(this.#bytesDone),
      bytesTotal: Math.floor(this.#bytesTotal),
      ...(this.#transfer && { transfer: this.#transfer }),
      ...this.lasting,
    };
  }
}

function refuseCancelled(task: NodeTask): void {
  if (task.spec.cancel === true) {
    throw new TaskFailure('Canceled', 'cancelled as asked for, before any process was changed');
  }
}

function isPassing(error: unknown): boolean {
  return !(error instanceof TaskFailure || isNotFound(error) || isConflict(error));
}

function notCommitted(error: unknown): TaskFailure {
  if (error instanceof TaskFailure) {
    return error;
  }
  const facts = `the API server could not be asked whether the work is still wanted: ${messageOf(error)}`;
  return isPassing(error)
    ? new TaskFailure('TaskFailed', facts, { cause: error, retryable: true })
    : new TaskFailure('Canceled', 'the task does not exist any more');
}

/**
 * Writes the outcome, again and again until the API server has it or the task is gone.
 *
 * @returns false when `signal` aborted first: the journal still has it
 */
export async function reportOutcome(
  options: ReporterOptions,
  outcome: Outcome,
  signal: AbortSignal,
): Promise<boolean> {
  const status = outcomeStatus(outcome, formatTime(options.clock.now()));
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await patchStatus(options, status);
      return true;
    } catch (error) {
      options.onError(error);
      if (await isPointless(options, error)) {
        return true;
      }
    }
    await pause(options.clock, backoffMillis(BACKOFF, failures, Math.random), signal);
  }
  return false;
}

/** The uid is a precondition: a task of the same name may have taken the place of the one we mean. */
async function patchStatus(
  { resource, ref }: ReporterOptions,
  status: NodeTaskStatus,
): Promise<NodeTask> {
  const patch = { metadata: { uid: ref.uid }, status };
  return await resource.mergePatchStatus(ref, patch, { timeoutMillis: REQUEST_MILLIS });
}

/** Nobody is there to be told, or it can never be said. */
async function isPointless(options: ReporterOptions, error: unknown): Promise<boolean> {
  if (isNotFound(error)) {
    return true;
  }
  if (!isConflict(error) && !isInvalid(error)) {
    return false;
  }
  try {
    const found = await options.resource.find(options.ref, { timeoutMillis: REQUEST_MILLIS });
    return found?.metadata.uid !== options.ref.uid || isInvalid(error);
  } catch (lookupError) {
    if (!(lookupError instanceof ApiError)) {
      throw lookupError;
    }
    return false;
  }
}
