// Everything a decision about a CheckpointSchedule rests on, and what it leads to.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import {
  type CheckpointSchedule,
  type CheckpointScheduleStatus,
  SCHEDULE_DEFAULTS,
  type Trigger,
} from '../../crds/checkpoint-schedule.ts';
import { LABELS, labelValue } from '../../crds/names.ts';
import type { Reason } from '../../crds/conditions.ts';
import type { Restore } from '../../crds/restore.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { isFinishedCheckpoint } from '../checkpoint/facts.ts';
import type { Pod } from '../cluster/pod.ts';

export interface ScheduleFacts {
  readonly nowMillis: number;
  readonly schedule: CheckpointSchedule;
  /** those that carry its label */
  readonly checkpoints: readonly Checkpoint[];
  /** those that its selector selects */
  readonly pods: readonly Pod[];
  /** of the namespace */
  readonly restores: readonly Restore[];
  /** other schedules of the namespace */
  readonly others: readonly CheckpointSchedule[];
  /** names of nodes that take no new pods */
  readonly cordoned: readonly string[];
}

/** Pods to save together, and why. */
export interface Run {
  readonly trigger: Trigger;
  /** the same whenever this run is tried again, and a label value */
  readonly id: string;
  /** the time it stands for: names of its Checkpoints have it */
  readonly momentMillis: number;
  readonly pods: readonly Pod[];
}

/** Something for the events of the schedule. */
export interface News {
  readonly reason: Reason;
  readonly note: string;
}

/** What one look at the facts leads to, done in this order. */
export interface ScheduleDecision {
  readonly schedule: CheckpointSchedule;
  readonly cancel: readonly Checkpoint[];
  readonly create: readonly Checkpoint[];
  readonly status: CheckpointScheduleStatus;
  readonly remove: readonly Checkpoint[];
  readonly news: readonly News[];
  readonly againAfterMillis: number;
}

/** The label that Checkpoints of a schedule carry. */
export function scheduleLabel(schedule: CheckpointSchedule): string {
  return labelValue(schedule.metadata.name);
}

/** Still under way. One that is being deleted is no longer ours to wait for. */
export function isActive(checkpoint: Checkpoint): boolean {
  return checkpoint.metadata.deletionTimestamp === undefined && !isFinishedCheckpoint(checkpoint);
}

export function hasSucceeded(checkpoint: Checkpoint): boolean {
  const { metadata, status } = checkpoint;
  return metadata.deletionTimestamp === undefined && isConditionTrue(status?.conditions, 'Ready');
}

export function hasFailed(checkpoint: Checkpoint): boolean {
  const { metadata, status } = checkpoint;
  return metadata.deletionTimestamp === undefined && isConditionTrue(status?.conditions, 'Failed');
}

export function createdMillis({ metadata }: Checkpoint): number {
  return Date.parse(metadata.creationTimestamp ?? '');
}

export function runOf({ metadata }: Checkpoint): string {
  return metadata.labels?.[LABELS.run] ?? metadata.name;
}

export function isSuspended({ spec }: CheckpointSchedule): boolean {
  return spec.suspend ?? SCHEDULE_DEFAULTS.suspend;
}

export function timeZoneOf({ spec }: CheckpointSchedule): string {
  return spec.timeZone ?? SCHEDULE_DEFAULTS.timeZone;
}

/** `redis, nginx and 3 more`: enough of many names for people. */
export function someNames(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  const rest = names.length - shown.length;
  return rest === 0 ? shown.join(', ') : `${shown.join(', ')} and ${rest} more`;
}
