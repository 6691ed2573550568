// A clock that stands still until a test moves it.
import type { Clock, Timer } from '../clock.ts';

interface Pending {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #millis = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();
  /** wall clock at the start */
  readonly #epochMillis: number;

  constructor(epochMillis: number = Date.UTC(2030, 0, 1)) {
    this.#epochMillis = epochMillis;
  }

  now(): number {
    return this.#epochMillis + this.#millis;
  }

  monotonicMillis(): number {
    return this.#millis;
  }

  /** timers that are set */
  get timers(): number {
    return this.#pending.size;
  }

  setTimer(delayMillis: number, callback: () => void): Timer {
    const pending = {
      dueAt: this.#millis + Math.max(delayMillis, 0),
      order: this.#order++,
      callback,
    };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  /** Moves time on, firing timers in order, and lets promises settle after each. */
  async advance(millis: number): Promise<void> {
    const end = this.#millis + millis;
    await settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#millis = Math.max(this.#millis, next.dueAt);
      next.callback();
      await settle();
    }
    this.#millis = end;
  }

  #next(end: number): Pending | undefined {
    return [...this.#pending]
      .filter((pending) => pending.dueAt <= end)
      .sort((a, b) => a.dueAt - b.dueAt || a.order - b.order)[0];
  }
}

/** Lets everything that is ready run: all microtasks, and what they set off. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
