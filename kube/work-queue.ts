// Keys waiting to be worked on: each at most once in line, never twice at a time, failures later and later.
// The contract is that of client-go's rate limiting queue.
import { type BackoffPolicy, backoffMillis } from './backoff.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';

/** The first retry comes soon, a hopeless key every five minutes. */
const BACKOFF: BackoffPolicy = { baseMillis: 100, maxMillis: 300_000 };

/** What became of a key. `again` is a plan, `retry` a failure (counts for the back-off). */
export type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'again'; readonly afterMillis: number }
  | { readonly type: 'retry'; readonly minMillis?: number | undefined };

export interface WorkQueueOptions {
  /** Works on a key. The signal aborts when draining has lasted too long. Rejecting means `retry`. */
  readonly process: (key: string, signal: AbortSignal) => Promise<Outcome>;
  /** keys worked on at the same time; default 4 */
  readonly maxParallel?: number;
  readonly backoff?: BackoffPolicy;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  /** in order of arrival */
  readonly #ready = new Set<string>();
  readonly #active = new Set<string>();
  /** added while active: to be done once more */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, { readonly dueAt: number; readonly timer: Timer }>();
  readonly #failures = new Map<string, number>();
  #state: 'waiting' | 'running' | 'draining' = 'waiting';
  #whenIdle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** keys ready to be worked on */
  get depth(): number {
    return this.#ready.size + this.#dirty.size;
  }

  /** keys being worked on */
  get active(): number {
    return this.#active.size;
  }

  /** keys waiting for their time */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** Begins to work. Keys may be added before. */
  start(): void {
    if (this.#state === 'waiting') {
      this.#state = 'running';
      this.#pump();
    }
  }

  /** Puts a key in line unless it is there. While it is worked on: once more afterwards. */
  add(key: string): void {
    if (this.#state === 'draining') {
      return;
    }
    this.#undelay(key);
    if (this.#active.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#ready.add(key);
    this.#pump();
  }

  /** Adds a key later. Of several times for one key the earliest holds; `add` replaces them all. */
  addAfter(key: string, delayMillis: number): void {
    if (this.#state === 'draining' || this.#ready.has(key)) {
      return;
    }
    if (delayMillis <= 0) {
      this.add(key);
      return;
    }
    const dueAt = this.#clock.monotonicMillis() + delayMillis;
    const planned = this.#delayed.get(key);
    if (planned !== undefined && planned.dueAt <= dueAt) {
      return;
    }
    this.#undelay(key);
    const timer = this.#clock.setTimer(delayMillis, () => this.add(key));
    this.#delayed.set(key, { dueAt, timer });
  }

  /** Adds a key after its back-off, which doubles until `forget`. */
  retry(key: string, minMillis = 0): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const delay = backoffMillis(this.#options.backoff ?? BACKOFF, failures, this.#options.random);
    this.addAfter(key, Math.max(delay, minMillis));
  }

  /** The key's next failure counts as its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** failures in a row */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /**
   * Takes no more keys and waits for those being worked on; after `graceMillis` aborts their signal
   * and waits as long again.
   * @returns keys whose work had not ended then
   */
  async drain(graceMillis: number): Promise<readonly string[]> {
    this.#state = 'draining';
    this.#ready.clear();
    this.#dirty.clear();
    for (const { timer } of this.#delayed.values()) {
      timer.cancel();
    }
    this.#delayed.clear();
    await this.#idle(graceMillis);
    if (this.#active.size > 0) {
      this.#abort.abort(new Error('shutting down'));
      await this.#idle(graceMillis);
    }
    return [...this.#active];
  }

  #idle(limitMillis: number): Promise<void> {
    if (this.#active.size === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(limitMillis, resolve);
      this.#whenIdle = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #pump(): void {
    const maxParallel = this.#options.maxParallel ?? 4;
    for (const key of this.#ready) {
      if (this.#state !== 'running' || this.#active.size >= maxParallel) {
        return;
      }
      this.#ready.delete(key);
      this.#active.add(key);
      // Never rejects: every failure becomes an outcome.
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    // What was planned for later is decided anew by this run.
    this.#undelay(key);
    let outcome: Outcome;
    try {
      outcome = await this.#options.process(key, this.#abort.signal);
    } catch {
      outcome = { type: 'retry' };
    }
    this.#active.delete(key);
    this.#plan(key, outcome);
    if (this.#active.size === 0) {
      this.#whenIdle?.();
    }
    this.#pump();
  }

  #plan(key: string, outcome: Outcome): void {
    if (outcome.type === 'retry') {
      this.retry(key, outcome.minMillis);
    } else {
      this.forget(key);
    }
    if (outcome.type === 'again') {
      this.addAfter(key, outcome.afterMillis);
    }
    if (this.#dirty.delete(key)) {
      this.add(key);
    }
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.timer.cancel();
    this.#delayed.delete(key);
  }
}
