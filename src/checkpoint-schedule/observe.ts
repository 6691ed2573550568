// Gathers everything that a decision about a CheckpointSchedule rests on.
import { LABELS } from '../../crds/names.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { selectorText } from '../../kube/label-selector.ts';
import type { Node } from '../cluster/types.ts';
import type { Cached, ClusterView } from '../cluster/view.ts';
import { scheduleLabel, type ScheduleFacts } from './facts.ts';
import type { CheckpointSchedule } from '../../crds/checkpoint-schedule.ts';

export interface ScheduleCaches {
  readonly schedules: Cached<CheckpointSchedule>;
  /** only those that take no new pods */
  readonly cordonedNodes: Cached<Node>;
}

export async function observeSchedule(
  { resources, clock }: ClusterView,
  { schedules, cordonedNodes }: ScheduleCaches,
  { key, signal }: ReconcileContext,
): Promise<ScheduleFacts | Gone> {
  const schedule = await resources.checkpointSchedules.find(parseKey(key), { signal });
  if (schedule === undefined || schedule.metadata.deletionTimestamp !== undefined) {
    return GONE;
  }
  const { namespace, uid } = schedule.metadata;
  // Asked of the API server itself: what was created a moment ago must not be created again, nor deleted while used.
  const [checkpoints, pods, restores] = await Promise.all([
    resources.checkpoints.list({
      namespace,
      labelSelector: `${LABELS.schedule}=${scheduleLabel(schedule)}`,
      signal,
    }),
    resources.pods.list({ namespace, labelSelector: selectorText(schedule.spec.selector), signal }),
    resources.restores.list({ namespace, signal }),
  ]);
  return {
    nowMillis: clock.now(),
    schedule,
    checkpoints: checkpoints.items,
    pods: pods.items,
    restores: restores.items,
    others: schedules
      .values()
      .filter(({ metadata }) => metadata.namespace === namespace && metadata.uid !== uid),
    cordoned: cordonedNodes.values().map(({ metadata }) => metadata.name),
  };
}
