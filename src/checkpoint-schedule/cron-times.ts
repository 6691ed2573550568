// The times that a cron expression names, by croner, which knows time zones and their changes of clock (pure).
// A time that the clock skips in spring comes right after the gap; one that it repeats in autumn comes once.
import { Cron } from 'croner';

/** Times that are counted at once, as CronJob does: more say no more. */
export const MAX_COUNTED = 100;

const EXPRESSION =
  /^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[-0-9A-Za-z*/,#]+( +[-0-9A-Za-z*/,#]+){4})$/;

export interface CronTimes {
  /** first time after this one */
  after(millis: number): number;
  /** times in (after, until]: the last of them, and how many there are, MAX_COUNTED + 1 at most */
  between(afterMillis: number, untilMillis: number): { readonly count: number; last?: number };
}

export interface CronProblem {
  readonly reason: 'InvalidSchedule' | 'InvalidTimeZone';
  readonly facts: string;
}

/** @param nowMillis an expression that names no time after now is a problem, too (30 February) */
export function cronTimes(
  schedule: string,
  timeZone: string,
  nowMillis: number,
): CronTimes | CronProblem {
  if (!isTimeZone(timeZone)) {
    return { reason: 'InvalidTimeZone', facts: `spec.timeZone "${timeZone}" is not known` };
  }
  // Whatever else croner understands (seconds, `?`, fixed dates) is not part of the contract.
  if (!EXPRESSION.test(schedule)) {
    return invalid(schedule, 'it does not have five fields');
  }
  try {
    const cron = new Cron(schedule, { timezone: timeZone, mode: '5-part', paused: true });
    if (cron.nextRun(new Date(nowMillis)) === null) {
      return invalid(schedule, 'that time never comes');
    }
    return timesOf(cron);
  } catch (error) {
    return invalid(schedule, error instanceof Error ? error.message : 'it cannot be read');
  }
}

export function isCronProblem(times: CronTimes | CronProblem): times is CronProblem {
  return 'reason' in times;
}

function timesOf(cron: Cron): CronTimes {
  const after = (millis: number): number => cron.nextRun(new Date(millis))?.getTime() ?? Infinity;
  return {
    after,
    between(afterMillis, untilMillis) {
      let count = 0;
      let last: number | undefined;
      // One at a time: nearly always the very next one is not due yet, and each costs a walk through the calendar.
      for (let next = after(afterMillis); next <= untilMillis; next = after(next)) {
        last = next;
        if (++count > MAX_COUNTED) {
          return { count, last: lastUntil(cron, untilMillis) ?? last };
        }
      }
      return { count, ...(last !== undefined && { last }) };
    },
  };
}

/** One more second: croner looks for times strictly before, and knows no fractions. */
function lastUntil(cron: Cron, untilMillis: number): number | undefined {
  const reference = new Date(Math.floor(untilMillis / 1000) * 1000 + 1000);
  return cron.previousRuns(1, reference)[0]?.getTime();
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function invalid(schedule: string, why: string): CronProblem {
  return { reason: 'InvalidSchedule', facts: `spec.schedule "${schedule}": ${why}` };
}
