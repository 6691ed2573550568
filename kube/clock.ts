// Time as a value that is passed in, so that queues, leases and watches can be tested without waiting.

/** setTimeout fires at once for longer delays than this; longer ones are cut, every caller re-checks anyway. */
const MAX_TIMER_MILLIS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock in milliseconds since 1970: for what people read. May jump. */
  now(): number;
  /** Milliseconds since some start: for measuring. Never goes backwards. */
  monotonicMillis(): number;
  /** Calls back once after `delayMillis`. */
  setTimer(delayMillis: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMillis: () => performance.now(),
  setTimer(delayMillis, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMillis, 0), MAX_TIMER_MILLIS));
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Waits `delayMillis` or until `signal` aborts, whichever comes first. Never rejects: look at the signal afterwards. */
export function pause(clock: Clock, delayMillis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimer(delayMillis, finish);
    signal.addEventListener('abort', finish);
  });
}

/** Resolves when `signal` aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** RFC 3339 with seconds: metav1.Time. */
export function formatTime(epochMillis: number): string {
  return new Date(epochMillis).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** RFC 3339 with six decimals: metav1.MicroTime, as leases and events want it. */
export function formatMicroTime(epochMillis: number): string {
  return new Date(epochMillis).toISOString().replace('Z', '000Z');
}
