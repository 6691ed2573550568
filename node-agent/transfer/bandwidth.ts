// Keeps a stream below so many bytes a second, on average over the whole stream: a late start is not made up for.
import { setTimeout as sleep } from 'node:timers/promises';

/** A pause shorter than this is added to the next one. */
const MIN_PAUSE_MILLIS = 5;

export class Bandwidth {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  /** when the bytes so far will have been worth it */
  #dueMillis = 0;

  /** @param bytesPerSecond undefined: no limit */
  constructor(bytesPerSecond: number | undefined, now: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
    this.#now = now;
  }

  /** How long to wait after `bytes` more. */
  take(bytes: number): number {
    const now = this.#now();
    this.#dueMillis = Math.max(this.#dueMillis, now) + (bytes / this.#bytesPerSecond) * 1000;
    const pauseMillis = this.#dueMillis - now;
    return pauseMillis < MIN_PAUSE_MILLIS ? 0 : pauseMillis;
  }

  /** Waits as long as {@link take} says. */
  async pause(bytes: number, signal: AbortSignal): Promise<void> {
    const millis = this.take(bytes);
    if (millis > 0) {
      await sleep(millis, undefined, { signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      });
    }
  }
}
