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

/** The longest gap that the second report has and the first had not; 0 where no gap was long enough to be noted. */
export function longestGapBetween(before: SelfReport, after: SelfReport): number {
  const between = after.gaps.filter((gap) => gap.atMillis >= before.nowMillis);
  return Math.max(0, ...between.map((gap) => gap.millis));
}
