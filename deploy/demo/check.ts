// One thing that was verified, and the gaps that applications report about themselves.

export interface Check {
  /** what must hold, short enough for a table */
  readonly what: string;
  readonly passed: boolean;
  /** the facts, told when it does not hold */
  readonly facts: string;
}

export function check(what: string, passed: boolean, facts: unknown): Check {
  return { what, passed, facts: typeof facts === 'string' ? facts : JSON.stringify(facts) };
}

/** A time in which a program did not run, by its own clocks. */
export interface Gap {
  /** wall clock at its end */
  readonly atMillis: number;
  readonly millis: number;
}

/** What every program of the demo says about itself. */
export interface SelfReport {
  readonly nowMillis: number;
  readonly errors: readonly string[];
  readonly gaps: readonly Gap[];
}

/** The gaps that the second report has and the first had not. */
export function gapsBetween(before: SelfReport, after: SelfReport): readonly Gap[] {
  return after.gaps.filter((gap) => gap.atMillis >= before.nowMillis);
}

/** Wall clock of the node, RFC 3339, as the Checkpoint's status tells it. */
export interface FreezeTimes {
  readonly frozenAt?: string;
  readonly resumedAt?: string;
}

/** Applications note the time after a gap, the agent around it: they need not agree to the millisecond. */
const SLACK_MILLIS = 25;

/**
 * How long the freeze was for the application: its longest gap that has to do with the freeze. Other gaps come from
 * other programs that want the CPU.
 * @returns 0 where the application noticed nothing
 */
export function frozenMillis(gaps: readonly Gap[], times: FreezeTimes): number {
  const from = Date.parse(times.frozenAt ?? '');
  const until = Date.parse(times.resumedAt ?? '');
  const related = gaps.filter(
    ({ atMillis, millis }) =>
      Number.isNaN(from) ||
      Number.isNaN(until) ||
      (atMillis + SLACK_MILLIS >= from && atMillis - millis - SLACK_MILLIS <= until),
  );
  return Math.max(0, ...related.map(({ millis }) => millis));
}
