// Gathers everything that a decision about a CheckpointSchedule rests on.
import type { CheckpointSchedule } from '../../crds/checkpoint-schedule.ts';
import type { TypedObject } from '../../crds/meta.ts';
import { LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { selectorText } from '../../kube/label-selector.ts';
import type { Node } from '../cluster/types.ts';
import type { Cached, ClusterView } from '../cluster/view.ts';
import { decideSchedule } from './decide.ts';
import { type ScheduleDecision, scheduleLabel, type ScheduleFacts } from './facts.ts';

export interface ScheduleCaches {
  readonly schedules: Cached<CheckpointSchedule>;
  readonly restores: Cached<Restore>;
  /** only those that take no new pods */
  readonly cordonedNodes: Cached<Node>;
}

/**
 * Caches are enough to see that nothing is to be done, which is nearly always so. Whatever is to be done is decided on
 * what the API server itself says: what was created a moment ago must not be created again, nor deleted while used.
 */
export async function observeSchedule(
  view: ClusterView,
  caches: ScheduleCaches,
  { key, signal }: ReconcileContext,
): Promise<ScheduleFacts | Gone> {
  const { resources } = view;
  const schedule = await resources.checkpointSchedules.find(parseKey(key), { signal });
  if (schedule === undefined || schedule.metadata.deletionTimestamp !== undefined) {
    return GONE;
  }
  const { namespace } = schedule.metadata;
  const labelSelector = selectorText(schedule.spec.selector);
  const { items: pods } = await resources.pods.list({ namespace, labelSelector, signal });
  const known = { ...factsOf(view, caches, schedule), pods };
  if (!hasEffects(decideSchedule(known))) {
    return known;
  }
  const [checkpoints, restores] = await Promise.all([
    resources.checkpoints.list({ namespace, labelSelector: childSelector(schedule), signal }),
    resources.restores.list({ namespace, signal }),
  ]);
  return { ...known, checkpoints: checkpoints.items, restores: restores.items };
}

/** All that caches know. */
function factsOf(
  { caches: { checkpoints }, clock }: ClusterView,
  { schedules, restores, cordonedNodes }: ScheduleCaches,
  schedule: CheckpointSchedule,
): Omit<ScheduleFacts, 'pods'> {
  const { namespace, uid } = schedule.metadata;
  const label = scheduleLabel(schedule);
  const here = ({ metadata }: TypedObject): boolean => metadata.namespace === namespace;
  return {
    nowMillis: clock.now(),
    schedule,
    checkpoints: checkpoints
      .values()
      .filter((one) => here(one) && one.metadata.labels?.[LABELS.schedule] === label),
    restores: restores.values().filter(here),
    others: schedules.values().filter((one) => here(one) && one.metadata.uid !== uid),
    cordoned: cordonedNodes.values().map(({ metadata }) => metadata.name),
  };
}

function childSelector(schedule: CheckpointSchedule): string {
  return `${LABELS.schedule}=${scheduleLabel(schedule)}`;
}

function hasEffects({ create, cancel, remove, news }: ScheduleDecision): boolean {
  return [create, cancel, remove, news].some((list) => list.length > 0);
}
