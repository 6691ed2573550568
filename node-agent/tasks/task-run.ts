// One task from its acceptance to its outcome: deadline, cancellation, heartbeat, journal.
import type { NodeTask, NodeTaskSpec, TaskResult } from '../../crds/node-task.ts';
import type { Clock, Timer } from '../../kube/clock.ts';
import { abortable, Deadline } from '../../kube/deadline.ts';
import type { Resource } from '../../kube/resource.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { handlerOf } from './handlers.ts';
import type { JournalEntry } from './journal.ts';
import { failed, type Outcome, succeeded } from './outcome.ts';
import { HandOver, type TaskContext, type Tools } from './task-context.ts';
import { LatestSpec } from './latest-spec.ts';
import { reportOutcome, type TaskRef, TaskReporter } from './task-reporter.ts';

/** A task whose agent died this often with it is not tried again: it may be the cause. */
const MAX_ATTEMPTS = 3;
/** After an abort a handler cleans up; a volume that does not answer may keep it from ever ending. */
const CLEANUP_MILLIS = 60_000;

export interface TaskRunOptions {
  readonly resource: Resource<NodeTask>;
  readonly ref: TaskRef;
  readonly spec: NodeTaskSpec;
  readonly entry: JournalEntry;
  readonly tools: Tools;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** told once, when the work has ended; `stageMillis` says what took how long */
  readonly onEnded: (outcome: Outcome, stageMillis: Readonly<Record<string, number>>) => void;
}

export class TaskRun {
  readonly #options: TaskRunOptions;
  readonly #abort = new AbortController();
  readonly #spec: LatestSpec;
  #outcome: Outcome | undefined;

  constructor(options: TaskRunOptions) {
    this.#options = options;
    this.#spec = new LatestSpec(options.spec);
  }

  /** The controller has added to the specification. */
  update(spec: NodeTaskSpec): void {
    this.#spec.set(spec);
  }

  /** undefined until the work has ended, and when it is handed over */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Asks for an early end. The first reason counts. */
  cancel(reason: TaskFailure | HandOver): void {
    this.#abort.abort(reason);
  }

  /**
   * Works and reports.
   *
   * @param shutdown aborts when the agent ends: what can be resumed is left to the successor
   * @returns false when the journal still has something for a successor
   */
  async run(shutdown: AbortSignal): Promise<boolean> {
    const { entry } = this.#options;
    const handOver = (): void => this.cancel(new HandOver());
    shutdown.addEventListener('abort', handOver);
    using timer = this.#deadlineTimer();
    try {
      const outcome = entry.facts.status === undefined ? await this.#work() : ended(entry);
      timer.cancel();
      this.#outcome = outcome;
      await this.#journalEnd(outcome);
      const told = await reportOutcome(this.#options, outcome, shutdown);
      if (told) {
        await entry.remove();
      }
      return told;
    } catch (error) {
      if (error instanceof HandOver) {
        return false;
      }
      throw error;
    } finally {
      shutdown.removeEventListener('abort', handOver);
    }
  }

  /** A journal that cannot be written must not keep the outcome from being told. */
  async #journalEnd(outcome: Outcome): Promise<void> {
    try {
      await this.#options.entry.note('ended', { status: outcome });
    } catch (error) {
      this.#options.onError(error);
    }
  }

  async #work(): Promise<Outcome> {
    using reporter = new TaskReporter(this.#options);
    reporter.start();
    const outcome = { ...(await this.#outcomeOf(reporter)), ...reporter.lasting };
    this.#options.onEnded(outcome, reporter.stageMillis);
    return outcome;
  }

  async #outcomeOf(reporter: TaskReporter): Promise<Outcome> {
    try {
      return succeeded(await this.#handle(reporter));
    } catch (error) {
      if (error instanceof HandOver) {
        throw error;
      }
      // What caused a failure is told by the log only.
      if (!(error instanceof TaskFailure) || error.cause !== undefined) {
        this.#options.onError(error);
      }
      return failed(error);
    } finally {
      await reporter.stop();
    }
  }

  async #handle(progress: TaskReporter): Promise<TaskResult> {
    const { entry, spec, tools, ref } = this.#options;
    const handler = handlerOf(spec);
    if (handler === undefined) {
      throw new TaskFailure('TaskFailed', `this agent knows no task of type ${spec.type}`);
    }
    const { signal } = this.#abort;
    const commit = async (): Promise<void> => await progress.commit(signal);
    const later: TaskContext['later'] = (pick) => this.#spec.later(pick, signal);
    const work = { journal: entry, progress, tools, commit, later };
    const context: TaskContext = { uid: ref.uid, spec, signal, ...work };
    const isNew = entry.record.attempt === 0;
    await entry.begin();
    if (entry.record.attempt > MAX_ATTEMPTS) {
      await handler.abandon(context);
      const facts = `the agent ended ${MAX_ATTEMPTS} times while it worked on this task`;
      throw new TaskFailure('AgentRestarted', facts);
    }
    const mustFinish = !isNew && handler.mustFinish?.(entry) === true;
    if (signal.aborted && !isNew && !mustFinish && !(signal.reason instanceof HandOver)) {
      // Called back while no agent was there: what the earlier one had begun is undone all the same.
      await handler.abandon({ ...context, signal: AbortSignal.timeout(CLEANUP_MILLIS) });
    }
    if (!mustFinish) {
      signal.throwIfAborted();
    }
    return await endsAfterAbort(isNew ? handler.run(context) : handler.resume(context), signal);
  }

  #deadlineTimer(): Timer & Disposable {
    const { clock, spec } = this.#options;
    const leftMillis = Date.parse(spec.deadline) - clock.now();
    // No time at all is as good as none left.
    const delay = Number.isNaN(leftMillis) ? 0 : leftMillis;
    const timer = clock.setTimer(delay, () =>
      this.cancel(new TaskFailure('TimedOut', `not done by ${spec.deadline}`)),
    );
    return { cancel: () => timer.cancel(), [Symbol.dispose]: () => timer.cancel() };
  }
}

function ended({ facts }: JournalEntry): Outcome {
  const { state, result, error, rounds } = facts.status ?? {};
  return {
    state: state === 'Succeeded' || state === 'Canceled' ? state : 'Failed',
    ...(result && { result }),
    ...(error && { error }),
    ...(rounds && { rounds }),
  };
}

/** Gives an aborted handler its time to clean up, and no more. */
async function endsAfterAbort(work: Promise<TaskResult>, signal: AbortSignal): Promise<TaskResult> {
  // Should we stop waiting for it, its end is nobody's business any more.
  work.catch(() => undefined);
  try {
    return await abortable(work, signal);
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
    using limit = new Deadline(CLEANUP_MILLIS);
    try {
      return await abortable(work, limit.signal);
    } catch (cleanupError) {
      if (!limit.expired) {
        throw cleanupError;
      }
      const reason: unknown = signal.reason;
      throw reason instanceof TaskFailure
        ? new TaskFailure(reason.code, `${reason.message}; the volume does not answer either`)
        : new TaskFailure('StoreUnavailable', messageOf(reason));
    }
  }
}
