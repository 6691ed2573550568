// Durations as metav1.Duration writes them: Go's `1h30m`, `250ms`. Source: Go's time.ParseDuration.

const UNIT_MILLIS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g;

/** @returns milliseconds. @throws RangeError for text that is no duration */
export function parseDuration(text: string): number {
  const negative = text.startsWith('-');
  const body = text.replace(/^[+-]/, '');
  if (body === '0') {
    return 0;
  }
  let millis = 0;
  let length = 0;
  for (const [part, amount = '', unit = ''] of body.matchAll(PART)) {
    millis += Number(amount) * (UNIT_MILLIS[unit] ?? 0);
    length += part.length;
  }
  if (length === 0 || length !== body.length) {
    throw new RangeError(`"${text}" is no duration; write it like 90s, 1h30m or 250ms`);
  }
  // Whole nanoseconds, which is all that Go keeps.
  const exact = Math.round(millis * 1e6) / 1e6;
  return negative ? -exact : exact;
}

/** As Go prints it: `1h30m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(millis: number): string {
  if (millis < 0) {
    return `-${formatDuration(-millis)}`;
  }
  if (millis === 0) {
    return '0s';
  }
  if (millis < 1000) {
    return `${millis}ms`;
  }
  const hours = Math.floor(millis / 3_600_000);
  const minutes = Math.floor((millis % 3_600_000) / 60_000);
  const seconds = (millis % 60_000) / 1000;
  const withMinutes = hours > 0 || minutes > 0 ? `${minutes}m` : '';
  return `${hours > 0 ? `${hours}h` : ''}${withMinutes}${seconds}s`;
}
