// The reasons that only a CheckpointSchedule has: in its conditions, its events and `status.lastSkipped`.
import { define } from './reason-facts.ts';

const WAITING = define('waiting', {
  Suspended: ['runs are held back, as asked for', 'set spec.suspend to false to go on'],
  NoPodsSelected: [
    'no running pod has the labels of the selector',
    'compare spec.selector with kubectl get pods --show-labels',
  ],
  StillActive: [
    'Checkpoints of an earlier run are not finished',
    'wait for them; spec.concurrencyPolicy says what a run does about them',
  ],
  StartingDeadlinePassed: [
    'the run could not begin in time',
    'look at the pods of the controller; spec.startingDeadlineSeconds is the time allowed',
  ],
  RecentlySaved: [
    'the pods were saved a moment ago',
    'nothing is lost; spec.triggers.minIntervalSeconds is the time between two Checkpoints of a pod',
  ],
  MissedRuns: [
    'times of the schedule passed without a run',
    'look at the pods of the controller and at the clocks of their nodes',
  ],
  ClockJumped: [
    'the clock was put back; the schedule counts from now',
    'look at the clock of the node that the controller runs on',
  ],
  PodsShared: [
    'an older CheckpointSchedule saves the same pods; they are left to it',
    'narrow spec.selector of one of the two',
  ],
  RetentionBlocked: [
    'Checkpoints beyond the retention are still needed',
    'see the message; a hold ends with spec.retention.hold: false on the Checkpoint',
  ],
});

const SUCCESS = define('success', {
  Scheduled: ['runs begin when they should', ''],
  RunStarted: ['a run has begun', ''],
  PodsExclusive: ['no older schedule saves the same pods', ''],
  RetentionMet: ['nothing is kept beyond the retention', ''],
  CheckpointsRemoved: ['Checkpoints beyond the retention were deleted', ''],
});

const FAILURE = define('failure', {
  InvalidSchedule: [
    'spec.schedule is no time that ever comes',
    'correct spec.schedule: minute hour day-of-month month day-of-week, such as */15 * * * *',
  ],
  InvalidTimeZone: [
    'spec.timeZone is not known',
    'correct spec.timeZone: a name of the IANA database, such as Europe/Berlin',
  ],
});

export const SCHEDULE_REASONS = { ...WAITING, ...SUCCESS, ...FAILURE } as const;
export type ScheduleReason = keyof typeof SCHEDULE_REASONS;
