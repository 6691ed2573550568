// What the Checkpoints of a group say together (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointGroupStatus } from '../../crds/checkpoint-group.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';

/** Reasons of a Checkpoint that is being saved: its processes stand still, or will in a moment. */
const FREEZING: readonly string[] = ['Freezing', 'Dumping', 'Storing'];

export function readyReason({ status }: Checkpoint): string {
  return findCondition(status?.conditions, 'Ready')?.reason ?? 'Pending';
}

export function isStored({ status }: Checkpoint): boolean {
  return isConditionTrue(status?.conditions, 'Ready');
}

/** When a pod stood still, as its agent told; or now, for one that has just begun to. */
function frozenMillis(checkpoint: Checkpoint, nowMillis: number): number | undefined {
  const told = Date.parse(checkpoint.status?.timing?.frozenAt ?? '');
  if (!Number.isNaN(told)) {
    return told;
  }
  return FREEZING.includes(readyReason(checkpoint)) && checkpoint.spec.suspend !== true
    ? nowMillis
    : undefined;
}

/** The first and the last stop so far. */
export function stops(
  checkpoints: readonly Checkpoint[],
  timing: CheckpointGroupStatus['timing'],
  nowMillis: number,
): { readonly firstMillis: number; readonly lastMillis: number } | undefined {
  const known = Date.parse(timing?.firstFrozenAt ?? '');
  const millis = checkpoints.flatMap((one) => frozenMillis(one, nowMillis) ?? []);
  if (millis.length === 0) {
    return undefined;
  }
  const first = Math.min(...millis, Number.isNaN(known) ? Number.POSITIVE_INFINITY : known);
  return { firstMillis: first, lastMillis: Math.max(...millis) };
}
