// The status of a CheckpointSchedule (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointScheduleStatus } from '../../crds/checkpoint-schedule.ts';
import type { ScheduleConditionType } from '../../crds/conditions.ts';
import { formatTime } from '../../kube/clock.ts';
import { formatBytesRounded } from '../../kube/quantity.ts';
import { StatusBuilder } from '../cluster/status-builder.ts';
import type { ByClock, Skipped } from './by-clock.ts';
import type { CronProblem } from './cron-times.ts';
import { isActive, isSuspended, type Run, type ScheduleFacts, someNames } from './facts.ts';
import type { Keeping } from './keep.ts';
import type { SharedPod } from './pods.ts';

const MAX_NAMES = 16;

type Builder = StatusBuilder<CheckpointScheduleStatus, ScheduleConditionType>;

export interface ScheduleNow {
  readonly clock: ByClock;
  readonly runs: readonly Run[];
  readonly create: readonly Checkpoint[];
  readonly skipped: readonly Skipped[];
  readonly drainedNodes: readonly string[];
  readonly requests: NonNullable<CheckpointScheduleStatus['requests']>;
  /** value of `spec.runNow` that is dealt with */
  readonly token: string | undefined;
  readonly shared: readonly SharedPod[];
  readonly keeping: Keeping;
}

export function scheduleStatus(facts: ScheduleFacts, now: ScheduleNow): CheckpointScheduleStatus {
  const { schedule, nowMillis } = facts;
  const next: Builder = new StatusBuilder(schedule.metadata, schedule.status ?? {}, nowMillis);
  tellTimes(next, now.clock);
  tellRuns(next, now);
  tellActive(next, [...facts.checkpoints.filter(isActive), ...now.create]);
  tellKept(next, now.keeping);
  setOrDrop(next, 'lastRunToken', now.token);
  setOrDrop(next, 'drainedNodes', now.drainedNodes.length === 0 ? undefined : now.drainedNodes);
  setOrDrop(next, 'requests', now.requests.length === 0 ? undefined : now.requests);
  tellReady(next, facts, now.clock);
  tellShared(next, now.shared);
  return next.build(false);
}

/** Of a schedule that cannot be read: what was done so far stays told. */
export function refusedStatus(
  { schedule, nowMillis }: ScheduleFacts,
  { reason, facts }: CronProblem,
): CheckpointScheduleStatus {
  const next: Builder = new StatusBuilder(schedule.metadata, schedule.status ?? {}, nowMillis);
  next.condition('Ready', 'False', reason, facts);
  next.drop('nextScheduleTime');
  next.drop('cron');
  return next.build(false);
}

function setOrDrop<Field extends keyof CheckpointScheduleStatus>(
  next: Builder,
  field: Field,
  value: CheckpointScheduleStatus[Field],
): void {
  if (value === undefined) {
    next.drop(field);
  } else {
    next.set({ [field]: value });
  }
}

function tellTimes(next: Builder, { cron, lastScheduleTime, nextMillis, missed }: ByClock): void {
  setOrDrop(next, 'cron', cron);
  setOrDrop(next, 'lastScheduleTime', lastScheduleTime);
  const known = nextMillis !== undefined && Number.isFinite(nextMillis);
  setOrDrop(next, 'nextScheduleTime', known ? formatTime(nextMillis) : undefined);
  if (missed > 0) {
    next.set({ missedRuns: (next.status.missedRuns ?? 0) + missed });
  }
}

function tellRuns(next: Builder, { runs, skipped }: ScheduleNow): void {
  const run = runs.at(-1);
  if (run !== undefined) {
    next.set({ lastRun: { time: next.now, trigger: run.trigger, pods: run.pods.length } });
  }
  const last = skipped.at(-1);
  if (last !== undefined) {
    next.set({ lastSkipped: last });
  }
}

function tellActive(next: Builder, active: readonly Checkpoint[]): void {
  const names = [...new Set(active.map(({ metadata }) => metadata.name))];
  next.set({ active: names.length });
  const some = names.toSorted().slice(0, MAX_NAMES);
  setOrDrop(next, 'activeCheckpoints', some.length === 0 ? undefined : some);
}

function tellKept(next: Builder, { stay, blocked }: Keeping): void {
  const bytes = stay.reduce((sum, { status }) => sum + (status?.bundle?.bytes ?? 0), 0);
  next.set({ totals: { checkpoints: stay.length, bytes, size: formatBytesRounded(bytes) } });
  const times = stay.map(({ status }) => status?.timing?.completionTime ?? '');
  const last = [next.status.lastSuccessfulTime ?? '', ...times].toSorted().at(-1) ?? '';
  setOrDrop(next, 'lastSuccessfulTime', last === '' ? undefined : last);
  if (blocked.length === 0) {
    next.condition('RetentionMet', 'True', 'RetentionMet');
  } else {
    next.condition('RetentionMet', 'False', 'RetentionBlocked', someNames(blocked));
  }
}

function tellReady(next: Builder, facts: ScheduleFacts, { nextMillis }: ByClock): void {
  if (isSuspended(facts.schedule)) {
    return next.condition('Ready', 'False', 'Suspended');
  }
  if (facts.pods.length === 0) {
    return next.condition('Ready', 'False', 'NoPodsSelected', 'spec.selector selects no pod');
  }
  const timed = nextMillis !== undefined && Number.isFinite(nextMillis);
  const when = timed ? 'by the clock and its triggers' : 'by triggers only';
  next.condition('Ready', 'True', 'Scheduled', `runs begin ${when}`);
}

function tellShared(next: Builder, shared: readonly SharedPod[]): void {
  const [first] = shared;
  if (first === undefined) {
    return next.condition('Exclusive', 'True', 'PodsExclusive');
  }
  const others = shared.length === 1 ? '' : ` (and ${shared.length - 1} more)`;
  const facts = `spec.selector selects pod ${first.pod.metadata.name}${others}, which the older CheckpointSchedule ${first.other.metadata.name} saves`;
  next.condition('Exclusive', 'False', 'PodsShared', facts);
}
