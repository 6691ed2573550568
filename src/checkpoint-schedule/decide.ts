// What to do next for a CheckpointSchedule (pure).
import {
  type CheckpointScheduleStatus,
  SCHEDULE_DEFAULTS,
} from '../../crds/checkpoint-schedule.ts';
import type { Reason } from '../../crds/conditions.ts';
import { type ByClock, byClock, type Skipped } from './by-clock.ts';
import { childCheckpoint } from './child.ts';
import { cronTimes, isCronProblem } from './cron-times.ts';
import {
  isSuspended,
  type News,
  type Run,
  type ScheduleDecision,
  type ScheduleFacts,
  someNames,
  timeZoneOf,
} from './facts.ts';
import { decideKeeping, type Keeping } from './keep.ts';
import { planRuns } from './plan.ts';
import { savablePods, sharedPods } from './pods.ts';
import { refusedStatus, scheduleStatus } from './status.ts';
import { wishes } from './triggers.ts';

/** Pods are not watched: annotations are looked for this often, everything else this often at least. */
const ANNOTATION_POLL_MILLIS = 10_000;
const POLL_MILLIS = 60_000;
/** Timers may fire a little early. */
const SOON_MILLIS = 20;

export function decideSchedule(facts: ScheduleFacts): ScheduleDecision {
  const { schedule, nowMillis } = facts;
  const { spec } = schedule;
  const times =
    spec.schedule === undefined
      ? undefined
      : cronTimes(spec.schedule, timeZoneOf(schedule), nowMillis);
  if (times !== undefined && isCronProblem(times)) {
    return nothing(facts, refusedStatus(facts, times));
  }
  const clock = byClock(schedule, times, nowMillis);
  const selected = savablePods(facts.pods);
  const shared = sharedPods(facts, selected);
  const own = selected.filter((pod) => !shared.some((other) => other.pod === pod));
  const wanted = wishes(facts, clock.dueMillis, own);
  const plan = planRuns(facts, wanted.runs);
  const create = plan.runs.flatMap((run) =>
    run.pods.map((pod) => childCheckpoint(schedule, run, pod)),
  );
  const keeping = decideKeeping(facts);
  const skipped = [...(clock.skipped ? [clock.skipped] : []), ...plan.skipped];
  const { drainedNodes, requests } = wanted;
  const token = plan.tokenWaits ? schedule.status?.lastRunToken : spec.runNow;
  const { runs, cancel } = plan;
  return {
    schedule,
    cancel,
    create,
    status: scheduleStatus(facts, {
      ...{ clock, runs, create, skipped, drainedNodes, requests, token, shared, keeping },
    }),
    remove: keeping.remove,
    news: [...clock.news, ...skipped.map(skipNews), ...runs.flatMap(runNews), ...goneNews(keeping)],
    againAfterMillis: againAfter(facts, clock),
  };
}

function nothing(facts: ScheduleFacts, status: CheckpointScheduleStatus): ScheduleDecision {
  const none = { cancel: [], create: [], remove: [], news: [] };
  return { schedule: facts.schedule, ...none, status, againAfterMillis: POLL_MILLIS };
}

function skipNews({ reason, message }: Skipped): News {
  // Only reasons of the closed set are ever put there.
  return { reason: reason as Reason, note: message };
}

function runNews({ trigger, pods }: Run): readonly News[] {
  const names = someNames(pods.map(({ metadata }) => metadata.name));
  return pods.length === 0
    ? []
    : [{ reason: 'RunStarted', note: `started by ${trigger}: saving ${names}` }];
}

function goneNews({ remove }: Keeping): readonly News[] {
  const names = someNames(remove.map(({ metadata }) => metadata.name));
  return remove.length === 0
    ? []
    : [{ reason: 'CheckpointsRemoved', note: `beyond the retention: ${names}` }];
}

function againAfter({ schedule, nowMillis }: ScheduleFacts, { nextMillis }: ByClock): number {
  const { onAnnotation } = { ...SCHEDULE_DEFAULTS, ...schedule.spec.triggers };
  const poll = onAnnotation && !isSuspended(schedule) ? ANNOTATION_POLL_MILLIS : POLL_MILLIS;
  const untilNext = nextMillis === undefined ? Infinity : nextMillis - nowMillis;
  return Math.min(poll, Math.max(untilNext, 0) + SOON_MILLIS);
}
