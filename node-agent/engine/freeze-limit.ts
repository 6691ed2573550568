// How long the application may stand still: past the limit the dump gives up and lets it go.

export class FreezeLimitError extends Error {
  readonly limitMillis: number;
  constructor(limitMillis: number) {
    super(
      `the application would have stood still for more than ${limitMillis} ms; raise limits.maxFreezeSeconds or relax its probes`,
    );
    this.name = 'FreezeLimitError';
    this.limitMillis = limitMillis;
  }
}

/** Measures one freeze. */
export class FreezeClock {
  readonly #start = performance.now();
  readonly #limitMillis: number;

  /** @param limitMillis 0 for no limit */
  constructor(limitMillis: number) {
    this.#limitMillis = limitMillis;
  }

  get elapsedMillis(): number {
    return performance.now() - this.#start;
  }

  /** @throws FreezeLimitError when the time is over */
  check(): void {
    if (this.#limitMillis > 0 && this.elapsedMillis > this.#limitMillis) {
      throw new FreezeLimitError(this.#limitMillis);
    }
  }
}
