// Bounded waiting for tracees: it spins at first, because they answer within microseconds, then sleeps until they report.
import { pollAsleep } from '../linux/wait.ts';

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

/** Longer would be wasted: it is waiting for a CPU then, which may be ours. */
const SPIN_MILLIS = 0.1;

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
    if (waited < SPIN_MILLIS) continue;
    const late = pollAsleep(millis - waited, attempt);
    if (late !== undefined) return late;
  }
}
