// Which pods a run saves (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { type CheckpointSchedule, SCHEDULE_DEFAULTS } from '../../crds/checkpoint-schedule.ts';
import { LABELS } from '../../crds/names.ts';
import { findCondition } from '../../kube/conditions.ts';
import { selects } from '../../kube/label-selector.ts';
import type { Pod } from '../cluster/pod.ts';
import { createdMillis, hasFailed, isActive, isSuspended, type ScheduleFacts } from './facts.ts';

/** Pods of ours that are no application. */
const OUR_ROLES: readonly string[] = ['agent', 'holder'];

/** Pods that run and are not about to end. */
export function savablePods(pods: readonly Pod[]): readonly Pod[] {
  return pods.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status?.phase === 'Running' &&
      !OUR_ROLES.includes(metadata.labels?.[LABELS.role] ?? ''),
  );
}

/** A pod that another schedule saves, and that schedule. */
export interface SharedPod {
  readonly pod: Pod;
  readonly other: CheckpointSchedule;
}

/** Of two schedules the older one has a pod: else its retention would delete what it did not make. */
export function sharedPods(facts: ScheduleFacts, pods: readonly Pod[]): readonly SharedPod[] {
  const older = facts.others.filter(
    (other) =>
      other.metadata.deletionTimestamp === undefined &&
      !isSuspended(other) &&
      !isRefused(other) &&
      isOlder(other, facts.schedule),
  );
  return pods.flatMap((pod) => {
    const other = older.find(({ spec }) => selects(spec.selector, pod.metadata.labels));
    return other === undefined ? [] : { pod, other };
  });
}

/** One that cannot be read saves nothing. */
function isRefused({ status }: CheckpointSchedule): boolean {
  const reason = findCondition(status?.conditions, 'Ready')?.reason;
  return reason === 'InvalidSchedule' || reason === 'InvalidTimeZone';
}

function isOlder(a: CheckpointSchedule, b: CheckpointSchedule): boolean {
  const order = ({ metadata }: CheckpointSchedule): string =>
    `${metadata.creationTimestamp ?? ''} ${metadata.uid ?? ''}`;
  return order(a) < order(b);
}

/** Names of pods that were begun to be saved within the window: one more Checkpoint would add nothing. */
export function recentlySaved(facts: ScheduleFacts): ReadonlySet<string> {
  const { schedule, checkpoints, nowMillis } = facts;
  const { minIntervalSeconds } = { ...SCHEDULE_DEFAULTS, ...schedule.spec.triggers };
  const since = nowMillis - minIntervalSeconds * 1000;
  return new Set(
    checkpoints
      .filter((checkpoint) => !hasFailed(checkpoint) && createdMillis(checkpoint) > since)
      .map(({ spec }) => spec.source.pod.name),
  );
}

/** Names of pods that are being saved now. */
export function beingSaved(checkpoints: readonly Checkpoint[]): ReadonlySet<string> {
  return new Set(checkpoints.filter(isActive).map(({ spec }) => spec.source.pod.name));
}

/** Those that have waited longest for a Checkpoint come first; of equals the order of names decides. */
export function oldestFirst(
  pods: readonly Pod[],
  checkpoints: readonly Checkpoint[],
): readonly Pod[] {
  const lastSaved = new Map<string, number>();
  for (const checkpoint of checkpoints.filter((one) => !hasFailed(one))) {
    const { name } = checkpoint.spec.source.pod;
    lastSaved.set(name, Math.max(lastSaved.get(name) ?? 0, createdMillis(checkpoint)));
  }
  const savedAt = ({ metadata }: Pod): number => lastSaved.get(metadata.name) ?? 0;
  return pods.toSorted(
    (a, b) => savedAt(a) - savedAt(b) || a.metadata.name.localeCompare(b.metadata.name),
  );
}
