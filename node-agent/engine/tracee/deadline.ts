// Bounded waiting: a poll that spins at first, because a tracee answers within microseconds, and then sleeps.
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** The time is over before what was waited for came. */
export class DeadlineError extends Error {
  readonly what: string;
  readonly waitedMillis: number;
  constructor(what: string, waitedMillis: number) {
    super(`${what} did not come within ${Math.round(waitedMillis)} ms`);
    this.name = 'DeadlineError';
    this.what = what;
    this.waitedMillis = waitedMillis;
  }
}

const SPIN_MILLIS = 1;
const MAX_SLEEP_MILLIS = 0.5;

/** Blocks this thread without spinning. */
export function sleepMillis(millis: number): void {
  Atomics.wait(sleeper, 0, 0, millis);
}

/**
 * Calls `attempt` until it gives something.
 *
 * @param what for the error message: the thing that is waited for
 * @throws DeadlineError after `millis`
 */
export function waitFor<T>(what: string, millis: number, attempt: () => T | undefined): T {
  const start = performance.now();
  for (;;) {
    const result = attempt();
    if (result !== undefined) return result;
    const waited = performance.now() - start;
    if (waited > millis) throw new DeadlineError(what, waited);
    if (waited > SPIN_MILLIS) sleepMillis(MAX_SLEEP_MILLIS);
  }
}
