// Runs one reconciler: observe (gather all facts), decide (pure: one step), act (do that step), key by key.
// The contract is controller-runtime's: level triggered, idempotent, one key never twice at a time.
import type { TypedObject } from '../crds/meta.ts';
import { ApiError, isConflict } from './api-error.ts';
import type { BackoffPolicy } from './backoff.ts';
import { type Clock, pause, systemClock, untilAborted } from './clock.ts';
import { Deadline } from './deadline.ts';
import type { ListWatch } from './list-watch.ts';
import { type Outcome, WorkQueue } from './work-queue.ts';

const RESYNC_MILLIS = 10 * 60_000;
const RECONCILE_TIMEOUT_MILLIS = 120_000;
const DRAIN_MILLIS = 15_000;

/** Answer of `observe` when there is nothing left to reconcile. */
export const GONE = Symbol('gone');
export type Gone = typeof GONE;

/** Trying again cannot help: the key rests until something changes. */
export class TerminalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TerminalError';
  }
}

export interface ReconcileContext {
  /** `namespace/name` */
  readonly key: string;
  /** aborts when the reconcile takes too long or the controller stops */
  readonly signal: AbortSignal;
}

export interface ActResult {
  /** look again after this time even if nothing changes */
  readonly requeueAfterMillis?: number;
}

/** @param afterMillis undefined: the next change comes by itself */
export function again(afterMillis: number | undefined): ActResult | undefined {
  return afterMillis === undefined ? undefined : { requeueAfterMillis: afterMillis };
}

export interface Reconciler<Facts, Step> {
  /** Reads everything the decision needs, the current time included. */
  observe(context: ReconcileContext): Promise<Facts | Gone>;
  /** Pure. */
  decide(facts: Facts): Step;
  /** Does one step. Throwing means: try again later (TerminalError: do not). */
  act(step: Step, context: ReconcileContext): Promise<ActResult | undefined>;
}

export type ReconcileResult = 'success' | 'requeue' | 'gone' | 'conflict' | 'error' | 'terminal';

/** For logs and metrics. Must not throw. */
export interface ControllerHooks {
  readonly reconciled?: (event: {
    readonly controller: string;
    readonly key: string;
    readonly result: ReconcileResult;
    readonly durationMillis: number;
    readonly error?: unknown;
    /** failures in a row before this one */
    readonly failures: number;
  }) => void;
  /** keys still being worked on when the time for a graceful end was over */
  readonly abandoned?: (controller: string, keys: readonly string[]) => void;
}

export interface ControllerOptions<Facts, Step> {
  readonly name: string;
  readonly reconciler: Reconciler<Facts, Step>;
  readonly hooks?: ControllerHooks;
  readonly maxParallel?: number;
  readonly backoff?: BackoffPolicy;
  /** every key is looked at this often even if no event comes; default 10 min */
  readonly resyncMillis?: number;
  readonly reconcileTimeoutMillis?: number;
  readonly drainMillis?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

interface Source {
  synced(signal: AbortSignal): Promise<void>;
  /** keys of everything in the cache now */
  allKeys(): readonly string[];
}

export class Controller<Facts, Step> {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions<Facts, Step>;
  readonly #clock: Clock;
  readonly #sources: Source[] = [];

  constructor(options: ControllerOptions<Facts, Step>) {
    this.name = options.name;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.queue = new WorkQueue({ ...options, process: (key, signal) => this.#run(key, signal) });
  }

  /**
   * Lets changes of a kind put keys in line. The caller runs the ListWatch.
   * @param keysOf the keys an object concerns: itself, or the owner of a task; asked for the old and the new object
   */
  watches<T extends TypedObject>(
    source: ListWatch<T>,
    keysOf: (object: T) => readonly string[],
  ): void {
    source.onChange((_key, old, current) => {
      for (const object of [old, current]) {
        if (object !== undefined) {
          keysOf(object).forEach((key) => this.enqueue(key));
        }
      }
    });
    this.#sources.push({
      synced: (signal) => source.synced(signal),
      allKeys: () => source.values().flatMap(keysOf),
    });
  }

  enqueue(key: string): void {
    this.queue.add(key);
  }

  /** Waits for the caches, works until `signal` aborts, then lets running work end in good order. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(this.#sources.map((source) => source.synced(signal)));
    } catch {
      // Only an abort can come here; there is no work to end.
      return;
    }
    this.queue.start();
    await Promise.all([this.#resync(signal), untilAborted(signal)]);
    const abandoned = await this.queue.drain(this.#options.drainMillis ?? DRAIN_MILLIS);
    if (abandoned.length > 0) {
      this.#options.hooks?.abandoned?.(this.name, abandoned);
    }
  }

  async #resync(signal: AbortSignal): Promise<void> {
    const period = this.#options.resyncMillis ?? RESYNC_MILLIS;
    const random = this.#options.random ?? Math.random;
    while (!signal.aborted) {
      await pause(this.#clock, period, signal);
      for (const key of new Set(this.#sources.flatMap((source) => source.allKeys()))) {
        // Spread out, so that a resync is no thunderclap.
        this.queue.addAfter(key, random() * period * 0.1);
      }
    }
  }

  async #run(key: string, queueSignal: AbortSignal): Promise<Outcome> {
    const startedAt = this.#clock.monotonicMillis();
    const failures = this.queue.failures(key);
    const timeoutMillis = this.#options.reconcileTimeoutMillis ?? RECONCILE_TIMEOUT_MILLIS;
    using deadline = new Deadline(timeoutMillis, queueSignal, this.#clock);
    const ended = await this.#reconcile({ key, signal: deadline.signal });
    this.#options.hooks?.reconciled?.({
      controller: this.name,
      key,
      result: ended.result,
      durationMillis: this.#clock.monotonicMillis() - startedAt,
      error: ended.error,
      failures,
    });
    return ended.outcome;
  }

  async #reconcile(context: ReconcileContext): Promise<Ended> {
    const { reconciler } = this.#options;
    try {
      const facts = await reconciler.observe(context);
      if (facts === GONE) {
        return { result: 'gone', outcome: { type: 'done' } };
      }
      const acted = await reconciler.act(reconciler.decide(facts), context);
      const afterMillis = acted?.requeueAfterMillis;
      return afterMillis === undefined
        ? { result: 'success', outcome: { type: 'done' } }
        : { result: 'requeue', outcome: { type: 'again', afterMillis } };
    } catch (error) {
      return failed(error);
    }
  }
}

interface Ended {
  readonly result: ReconcileResult;
  readonly outcome: Outcome;
  readonly error?: unknown;
}

function failed(error: unknown): Ended {
  if (error instanceof TerminalError) {
    return { result: 'terminal', outcome: { type: 'done' }, error };
  }
  const seconds = error instanceof ApiError ? error.retryAfterSeconds : undefined;
  return {
    result: isConflict(error) ? 'conflict' : 'error',
    outcome: { type: 'retry', minMillis: seconds === undefined ? undefined : seconds * 1000 },
    error,
  };
}
