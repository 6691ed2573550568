// Which schedules a change concerns: keys for their queue (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { type CheckpointSchedule, SCHEDULE_DEFAULTS } from '../../crds/checkpoint-schedule.ts';
import { LABELS } from '../../crds/names.ts';
import { objectKey } from '../../kube/keys.ts';
import type { Cached } from '../cluster/view.ts';
import { scheduleLabel } from './facts.ts';

/** The schedule that a Checkpoint belongs to. */
export function scheduleKey(
  schedules: Cached<CheckpointSchedule>,
): (checkpoint: Checkpoint) => readonly string[] {
  return ({ metadata }) => {
    const label = metadata.labels?.[LABELS.schedule];
    return label === undefined
      ? []
      : keysWhere(
          schedules,
          (one) => one.metadata.namespace === metadata.namespace && scheduleLabel(one) === label,
        );
  };
}

/** Schedules that save the pods of a node when it is cordoned. */
export function drainWatchers(schedules: Cached<CheckpointSchedule>): () => readonly string[] {
  return () =>
    keysWhere(schedules, ({ spec }) => spec.triggers?.onNodeDrain ?? SCHEDULE_DEFAULTS.onNodeDrain);
}

function keysWhere(
  schedules: Cached<CheckpointSchedule>,
  concerned: (schedule: CheckpointSchedule) => boolean,
): readonly string[] {
  return schedules
    .values()
    .filter(concerned)
    .map(({ metadata }) => objectKey(metadata));
}
