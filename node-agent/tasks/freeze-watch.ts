// Sees to it that nothing stands still for longer than allowed, whatever the engine believes (design K10). It looks
// at the processes themselves: an engine that hangs says nothing.
import type { ProcessHandle } from '../container/process-handle.ts';

const POLL_MILLIS = 10;
/** The engine keeps the limit itself; it gets the chance to end in good order. */
export const MARGIN_MILLIS = 100;
/** proc_pid_stat(5): stopped by a tracer */
const TRACING_STOP = 't';

/** Pure: how long has it been standing still? */
export class FreezeGauge {
  readonly #limitMillis: number;
  #since: number | undefined;

  /** @param limitMillis may be Infinity */
  constructor(limitMillis: number) {
    this.#limitMillis = limitMillis;
  }

  /** @returns true when the limit is passed */
  observe(nowMillis: number, stopped: boolean): boolean {
    this.#since = stopped ? (this.#since ?? nowMillis) : undefined;
    return this.#since !== undefined && nowMillis - this.#since > this.#limitMillis;
  }
}

export interface FreezeWatchOptions {
  readonly processes: readonly ProcessHandle[];
  readonly limitMillis: number;
  /** called once */
  readonly onExceeded: () => void;
}

/** Watches until the end of the scope. */
export class FreezeWatch implements Disposable {
  readonly #timer: NodeJS.Timeout;

  constructor({ processes, limitMillis, onExceeded }: FreezeWatchOptions) {
    const gauge = new FreezeGauge(limitMillis + MARGIN_MILLIS);
    this.#timer = setInterval(() => {
      const stopped = processes.some((process) => process.state() === TRACING_STOP);
      if (gauge.observe(performance.now(), stopped)) {
        clearInterval(this.#timer);
        onExceeded();
      }
    }, POLL_MILLIS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
