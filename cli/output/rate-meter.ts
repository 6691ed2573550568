// How fast bytes go, from what was seen so far (pure).

/** Older samples say nothing about now. */
const WINDOW_MILLIS = 5_000;

interface Sample {
  readonly atMillis: number;
  readonly bytes: number;
}

export class RateMeter {
  #samples: readonly Sample[] = [];

  /** Fewer bytes than before mean a new attempt: it begins anew. */
  add(bytes: number, atMillis: number): void {
    const last = this.#samples.at(-1);
    const kept = last !== undefined && bytes < last.bytes ? [] : this.#samples;
    const recent = kept.filter((sample) => atMillis - sample.atMillis <= WINDOW_MILLIS);
    // One sample from before the window keeps the rate of slow work known.
    this.#samples = [...(recent.length === 0 ? kept.slice(-1) : recent), { atMillis, bytes }];
  }

  /** Undefined while it is not known. */
  get bytesPerSecond(): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMillis <= first.atMillis) {
      return undefined;
    }
    return ((last.bytes - first.bytes) * 1000) / (last.atMillis - first.atMillis);
  }

  /** Undefined while it is not known, or nothing moves. */
  secondsLeft(bytesTotal: number): number | undefined {
    const rate = this.bytesPerSecond;
    const done = this.#samples.at(-1)?.bytes ?? 0;
    return rate === undefined || rate <= 0 ? undefined : Math.max(0, bytesTotal - done) / rate;
  }
}
