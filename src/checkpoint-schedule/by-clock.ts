// Which time of the schedule is due (pure). Times are counted from the last one dealt with, so that a controller that
// was away knows what it missed, and makes up for one run at most.
import { createHash } from 'node:crypto';
import {
  type CheckpointSchedule,
  type CheckpointScheduleStatus,
  SCHEDULE_DEFAULTS,
} from '../../crds/checkpoint-schedule.ts';
import { formatTime } from '../../kube/clock.ts';
import { type CronTimes, MAX_COUNTED } from './cron-times.ts';
import { isSuspended, type News, timeZoneOf } from './facts.ts';

/** Clocks of two controllers may differ by this much; a time further ahead was written by a clock that went wrong. */
const CLOCK_TOLERANCE_MILLIS = 60_000;

export type Skipped = NonNullable<CheckpointScheduleStatus['lastSkipped']>;

export interface ByClock {
  readonly cron: CheckpointScheduleStatus['cron'];
  /** the latest time that is over now */
  readonly lastScheduleTime: string | undefined;
  /** to be run now */
  readonly dueMillis?: number;
  /** when the next run begins, jitter included */
  readonly nextMillis: number | undefined;
  readonly missed: number;
  readonly skipped?: Skipped;
  readonly news: readonly News[];
}

export function byClock(
  schedule: CheckpointSchedule,
  times: CronTimes | undefined,
  nowMillis: number,
): ByClock {
  const { spec, status } = schedule;
  const lastScheduleTime = status?.lastScheduleTime;
  if (times === undefined || spec.schedule === undefined || isSuspended(schedule)) {
    return { cron: undefined, lastScheduleTime, nextMillis: undefined, missed: 0, news: [] };
  }
  const reference = referenceOf(schedule, nowMillis);
  const delayMillis = jitterMillis(schedule);
  const due = times.between(reference.fromMillis, nowMillis - delayMillis);
  const nextMillis = times.after(Math.max(reference.fromMillis, nowMillis - delayMillis));
  const common = { cron: reference.cron, nextMillis: nextMillis + delayMillis };
  if (due.last === undefined) {
    return { ...common, lastScheduleTime: reference.lastTime, missed: 0, news: reference.news };
  }
  const lateMillis = nowMillis - due.last - delayMillis;
  const deadline = spec.startingDeadlineSeconds;
  const tooLate = deadline !== undefined && lateMillis > deadline * 1000;
  const missed = Math.min(tooLate ? due.count : due.count - 1, MAX_COUNTED);
  const time = formatTime(due.last);
  const message = `the run of ${time} could begin only ${Math.round(lateMillis / 1000)} s late`;
  return {
    ...common,
    lastScheduleTime: time,
    missed,
    news: [...reference.news, ...missedNews(missed, due.count)],
    ...(tooLate
      ? { skipped: { time, reason: 'StartingDeadlinePassed', message } }
      : { dueMillis: due.last }),
  };
}

/** The same delay for every run, another one for every schedule. */
export function jitterMillis({ metadata, spec }: CheckpointSchedule): number {
  const most = (spec.jitterSeconds ?? SCHEDULE_DEFAULTS.jitterSeconds) * 1000;
  const digest = createHash('sha256')
    .update(metadata.uid ?? metadata.name)
    .digest();
  return Math.floor((digest.readUInt32BE(0) / 2 ** 32) * most);
}

interface Reference {
  readonly cron: NonNullable<CheckpointScheduleStatus['cron']>;
  readonly lastTime: string | undefined;
  readonly fromMillis: number;
  readonly news: readonly News[];
}

/** Times before the schedule was made, changed or resumed were nobody's to run. */
function referenceOf(schedule: CheckpointSchedule, nowMillis: number): Reference {
  const { spec, status } = schedule;
  const known = status?.cron;
  const timeZone = timeZoneOf(schedule);
  const fresh = { schedule: spec.schedule ?? '', timeZone, since: formatTime(nowMillis) };
  const lastTime = status?.lastScheduleTime;
  if (known === undefined || known.schedule !== spec.schedule || known.timeZone !== timeZone) {
    return { cron: fresh, lastTime, fromMillis: Date.parse(fresh.since), news: [] };
  }
  const fromMillis = Math.max(Date.parse(known.since), Date.parse(lastTime ?? known.since));
  if (fromMillis > nowMillis + CLOCK_TOLERANCE_MILLIS) {
    const note = `it is ${fresh.since}, but a run of ${formatTime(fromMillis)} is known already`;
    const news: News = { reason: 'ClockJumped', note };
    return { cron: fresh, lastTime: undefined, fromMillis: nowMillis, news: [news] };
  }
  return { cron: known, lastTime, fromMillis, news: [] };
}

function missedNews(missed: number, counted: number): readonly News[] {
  const number = counted > MAX_COUNTED ? `at least ${MAX_COUNTED}` : String(missed);
  const note = `${number} times of the schedule passed without a run`;
  return missed === 0 ? [] : [{ reason: 'MissedRuns', note }];
}
