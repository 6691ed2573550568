// Handing over (pure): the new pod is ready, the frozen source is ended. In this order only, if a ReplicaSet owns it
// (design K9): new pod ready, lowest rank for the source, labels for the new pod, then the ReplicaSet removes the source.
import type { Migration } from '../../crds/migration.ts';
import { ANNOTATIONS, LABELS } from '../../crds/names.ts';
import { findCondition } from '../../kube/conditions.ts';
import type { Pod } from '../cluster/pod.ts';
import {
  hasEnded,
  type MigrationFacts,
  type MigrationStep,
  sourcePod,
  targetPod,
  wait,
} from './facts.ts';

/** The lowest there is. Source: controller.kubernetes.io/pod-deletion-cost is an int32. */
export const LOWEST_RANK = '-2147483648';
export const RANK_ANNOTATION = 'controller.kubernetes.io/pod-deletion-cost';
/** A frozen pod cannot answer SIGTERM: it ends with its grace period. */
export const GRACE_SECONDS = 1;
/** ReplicaSets need some 70 ms. */
const REPLICA_SET_MILLIS = 5_000;
/** After that the node is lost: a pod that is being deleted is never started again there. */
const END_MILLIS = 60_000;
const POLL_MILLIS = 100;

export function isReleasing({ status }: Migration): boolean {
  return findCondition(status?.conditions, 'SourceReleased') !== undefined;
}

export function decideRelease(facts: MigrationFacts): MigrationStep {
  const source = sourcePod(facts);
  if (source === undefined) {
    return { do: 'finish' };
  }
  if (source.metadata.deletionTimestamp !== undefined) {
    return endingSource(facts, source);
  }
  const target = targetPod(facts);
  if (target === undefined || target.metadata.deletionTimestamp !== undefined || hasEnded(target)) {
    return {
      do: 'give-up',
      reason: 'TargetLost',
      facts: `pod ${facts.migration.status?.target?.podName} went away before the source was ended`,
    };
  }
  const ofReplicaSet = facts.migration.status?.source?.ownerKind === 'ReplicaSet';
  return (
    (ofReplicaSet ? handOver(facts, source, target) : undefined) ?? {
      do: 'end-source',
      pod: source,
    }
  );
}

function handOver(facts: MigrationFacts, source: Pod, target: Pod): MigrationStep | undefined {
  if (source.metadata.annotations?.[RANK_ANNOTATION] !== LOWEST_RANK) {
    return { do: 'rank-source', pod: source };
  }
  const labels = siblingLabels(source);
  const missing = Object.entries(labels).some(
    ([name, value]) => target.metadata.labels?.[name] !== value,
  );
  if (missing) {
    return { do: 'hand-over', pod: target, labels };
  }
  return releasingMillis(facts) < REPLICA_SET_MILLIS
    ? wait('ReleasingSource', 'waiting for the ReplicaSet to choose the new pod', POLL_MILLIS)
    : undefined;
}

/** Labels by which a ReplicaSet, and whoever else, knows the source. Those of an earlier migration are its own. */
function siblingLabels({ metadata }: Pod): Readonly<Record<string, string>> {
  const ours: readonly string[] = [...Object.values(LABELS), ...Object.values(ANNOTATIONS)];
  return Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(([name]) => !ours.includes(name)),
  );
}

/** Its ReplicaSet gives it the usual grace period, of which a frozen pod makes no use. */
function endingSource(facts: MigrationFacts, source: Pod): MigrationStep {
  if ((source.metadata.deletionGracePeriodSeconds ?? 0) > GRACE_SECONDS) {
    return { do: 'end-source', pod: source };
  }
  return releasingMillis(facts) > END_MILLIS
    ? { do: 'finish' }
    : wait('ReleasingSource', `waiting for pod ${source.metadata.name} to end`, POLL_MILLIS);
}

function releasingMillis({ migration, nowMillis }: MigrationFacts): number {
  const since = findCondition(migration.status?.conditions, 'SourceReleased');
  return nowMillis - Date.parse(since?.lastTransitionTime ?? '');
}
