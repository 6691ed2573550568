// How long ago, as kubectl says it: at most two units (pure).

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @param time RFC 3339; unknown where there is none */
export function age(time: string | undefined, nowMillis: number): string {
  const millis = nowMillis - Date.parse(time ?? '');
  return Number.isNaN(millis) ? '<unknown>' : span(millis);
}

/** `42s`, `5m10s`, `3h12m`, `9d`. */
export function span(millis: number): string {
  const left = Math.max(0, millis);
  if (left < 2 * MINUTE) {
    return `${Math.floor(left / SECOND)}s`;
  }
  if (left < 10 * MINUTE) {
    return two(left, [MINUTE, 'm'], [SECOND, 's']);
  }
  if (left < 3 * HOUR) {
    return `${Math.floor(left / MINUTE)}m`;
  }
  if (left < 8 * HOUR) {
    return two(left, [HOUR, 'h'], [MINUTE, 'm']);
  }
  return left < 2 * DAY ? `${Math.floor(left / HOUR)}h` : `${Math.floor(left / DAY)}d`;
}

type Unit = readonly [millis: number, letter: string];

function two(millis: number, [large, largeLetter]: Unit, [small, smallLetter]: Unit): string {
  const rest = Math.floor((millis % large) / small);
  const whole = `${Math.floor(millis / large)}${largeLetter}`;
  return rest === 0 ? whole : `${whole}${rest}${smallLetter}`;
}
