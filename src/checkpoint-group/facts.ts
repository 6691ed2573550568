// Everything a decision about a CheckpointGroup rests on, and the steps it can lead to.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import {
  type CheckpointGroup,
  GROUP_DEFAULTS,
  type GroupMember,
} from '../../crds/checkpoint-group.ts';
import type { FailureReason, WaitingReason } from '../../crds/conditions.ts';
import { API_VERSION, type OwnerReference } from '../../crds/meta.ts';
import { FINALIZERS } from '../../crds/names.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import type { Pod } from '../cluster/pod.ts';

export interface GroupFacts {
  readonly nowMillis: number;
  readonly group: CheckpointGroup;
  /** running ones that the selector matches, until the group is accepted */
  readonly pods: readonly Pod[];
  /** of the names that those of the members have, whoever made them */
  readonly checkpoints: readonly Checkpoint[];
}

export interface Failure {
  readonly reason: FailureReason;
  readonly facts: string;
}

interface OnMembers {
  readonly checkpoints: readonly Checkpoint[];
}

export type GroupStep =
  | { readonly do: 'nothing' }
  | { readonly do: 'add-finalizer' }
  | { readonly do: 'remove-finalizer' }
  | { readonly do: 'accept'; readonly members: readonly GroupMember[] }
  | {
      readonly do: 'wait';
      readonly reason: WaitingReason;
      readonly facts: string;
      readonly againAfterMillis: number;
    }
  | ({ readonly do: 'create-members' } & OnMembers)
  /** all are prepared: they may be stopped */
  | ({ readonly do: 'start-members' } & OnMembers)
  /** all are stored and stand still: the barrier is passed */
  | { readonly do: 'pass-barrier' }
  | ({ readonly do: 'resume-members' } & OnMembers)
  | { readonly do: 'finish' }
  /** the decision to undo everything, written down before anything is undone */
  | ({ readonly do: 'give-up' } & Failure)
  | ({ readonly do: 'cancel-members' } & OnMembers)
  /** what is stored of a group that failed is of no use */
  | ({ readonly do: 'delete-members' } & OnMembers)
  | ({ readonly do: 'fail' } & Failure);

export function hasFinalizer({ metadata }: CheckpointGroup): boolean {
  return metadata.finalizers?.includes(FINALIZERS.group) ?? false;
}

export function isFinishedGroup({ status }: CheckpointGroup): boolean {
  return (
    isConditionTrue(status?.conditions, 'Ready') || isConditionTrue(status?.conditions, 'Failed')
  );
}

export function isAccepted({ status }: CheckpointGroup): boolean {
  return isConditionTrue(status?.conditions, 'Accepted');
}

export function deadlineMillis({ metadata, spec }: CheckpointGroup): number {
  const seconds = spec.limits?.timeoutSeconds ?? GROUP_DEFAULTS.timeoutSeconds;
  return Date.parse(metadata.creationTimestamp ?? '') + seconds * 1000;
}

export function ownerReference({ metadata }: CheckpointGroup): OwnerReference {
  const { name, uid = '' } = metadata;
  return { apiVersion: API_VERSION, kind: 'CheckpointGroup', name, uid, controller: true };
}

export function isMade(group: CheckpointGroup, { metadata }: Checkpoint): boolean {
  return metadata.ownerReferences?.some(({ uid }) => uid === group.metadata.uid) ?? false;
}

/** Those that the group made, in the order of its members. */
export function ownCheckpoints({ group, checkpoints }: GroupFacts): readonly Checkpoint[] {
  return (group.status?.members ?? []).flatMap(
    ({ checkpointName }) =>
      checkpoints.find((c) => c.metadata.name === checkpointName && isMade(group, c)) ?? [],
  );
}

export function wait(
  reason: WaitingReason,
  facts: string,
  againAfterMillis = 1_000,
): Extract<GroupStep, { do: 'wait' }> {
  return { do: 'wait', reason, facts, againAfterMillis };
}
