// A time limit as a scope: a signal that aborts when time is up or when its parent aborts, and that leaves
// no timer and no listener behind. AbortSignal.any would keep every child alive with a long-lived parent.
import { type Clock, systemClock, type Timer } from './clock.ts';

export class Deadline implements Disposable {
  readonly #abort = new AbortController();
  readonly #clock: Clock;
  readonly #millis: number;
  readonly #parent: AbortSignal | undefined;
  readonly #onParentAbort: () => void;
  #timer: Timer | undefined;
  #expired = false;

  /** Starts counting at once. `millis` may be Infinity: then only the parent aborts it. */
  constructor(millis: number, parent?: AbortSignal, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#millis = millis;
    this.#parent = parent;
    this.#onParentAbort = () => {
      this.#timer?.cancel();
      this.#abort.abort(parent?.reason);
    };
    if (parent?.aborted === true) {
      this.#onParentAbort();
      return;
    }
    parent?.addEventListener('abort', this.#onParentAbort);
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** True when time ran out, false when the parent aborted or nothing happened. */
  get expired(): boolean {
    return this.#expired;
  }

  /** Gives the full time again, counted from now. */
  restart(): void {
    this.#timer?.cancel();
    if (this.#abort.signal.aborted || !Number.isFinite(this.#millis)) {
      return;
    }
    this.#timer = this.#clock.setTimer(this.#millis, () => {
      this.#expired = true;
      this.#abort.abort(new Error(`no answer within ${this.#millis} ms`));
    });
  }

  /** Stops counting; the parent can still abort it. */
  stop(): void {
    this.#timer?.cancel();
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
    this.#parent?.removeEventListener('abort', this.#onParentAbort);
  }
}

/** Rejects with the signal's reason as soon as it aborts; for promises that know no signal. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Its end is nobody's business once the signal has aborted; unheard, its failure would end the process.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort !== undefined) {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
