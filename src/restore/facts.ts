// Everything a decision about a Restore rests on, and the steps it can lead to.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { FailureReason, WaitingReason } from '../../crds/conditions.ts';
import type { Report } from '../../crds/meta.ts';
import { FINALIZERS, LABELS } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { type Adoption, RESTORE_DEFAULTS, type Restore } from '../../crds/restore.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import type { ClaimFacts } from '../checkpoint-store/claim.ts';
import type { Agent } from '../cluster/agents.ts';
import type { Pod } from '../cluster/pod.ts';
import type { ClusterStep } from '../cluster/steps.ts';
import type { AnyObject, Node } from '../cluster/types.ts';
import type { MountedClaim } from '../cluster/volume-reach.ts';
import type { PlaceholderFeatures } from '../placeholder/features.ts';

export interface RestoreFacts {
  readonly nowMillis: number;
  readonly restore: Restore;
  readonly checkpoint: Checkpoint | undefined;
  /** of the new pod's name, whoever made it */
  readonly pod: Pod | undefined;
  /** of the new pod, or the one asked for while there is no pod */
  readonly node: Node | undefined;
  readonly agents: readonly Agent[];
  readonly claim: ClaimFacts | undefined;
  /** of the claim, on any node */
  readonly holders: readonly Pod[];
  /** all NodeTasks, as far as the cache knows */
  readonly tasks: readonly NodeTask[];
  /** the Restore task of the new pod */
  readonly task: NodeTask | undefined;
  /** the Receive task of this Restore, where the bundle comes straight from the other node */
  readonly receive: NodeTask | undefined;
  readonly features: PlaceholderFeatures;
  /** claims that the new pod will mount, until there is one */
  readonly mounts: readonly MountedClaim[];
  /** of the cluster, where not all of them can mount the claims and none was named */
  readonly nodes: readonly Node[];
  /** of a Restore that waits for a controller's next replica */
  readonly adoption: AdoptionFacts | undefined;
}

export interface AdoptionFacts {
  /** the controller, while it exists */
  readonly owner: AnyObject | undefined;
  /** the admission policy is there */
  readonly installed: boolean;
  /** has the name of the replica, and is not ours */
  readonly occupant: Pod | undefined;
  /** what the API server just did with such a replica, where it was asked */
  readonly rehearsal: 'Adopted' | 'NotYet' | { readonly refused: string } | undefined;
}

/** Steps that only say something. */
export type RestoreNote =
  | { readonly do: 'nothing'; readonly againAfterMillis?: number }
  | {
      readonly do: 'wait';
      readonly reason: WaitingReason;
      readonly facts: string;
      readonly againAfterMillis: number;
    }
  /** the new pod's containers run, and the bundle is not there yet */
  | { readonly do: 'placed'; readonly pod: Pod }
  /** the API server makes the next replica a placeholder from now on */
  | { readonly do: 'adoption-in-force' }
  | { readonly do: 'progress'; readonly task: NodeTask }
  | { readonly do: 'retry'; readonly facts: string }
  | { readonly do: 'store-result'; readonly task: NodeTask }
  | { readonly do: 'finish'; readonly pod: Pod }
  | {
      readonly do: 'fail';
      readonly reason: FailureReason;
      readonly facts: string;
      readonly report?: readonly Report[];
      /** the agent had begun what cannot be called back: processes may run in the new pod until it is gone */
      readonly committed?: boolean;
    };

export type RestoreStep =
  | RestoreNote
  /** the readiness gate turns true */
  | { readonly do: 'mark-restored'; readonly pod: Pod }
  | { readonly do: 'arm-adoption'; readonly adoption: Adoption }
  /** the replica is there: the next ones are ordinary again */
  | { readonly do: 'take-replica'; readonly pod: Pod }
  | { readonly do: 'disarm-adoption' }
  | Exclude<ClusterStep, { do: 'delete-source' }>;

export function hasFinalizer(restore: Restore): boolean {
  return restore.metadata.finalizers?.includes(FINALIZERS.restore) ?? false;
}

export function isFinishedRestore(restore: Restore): boolean {
  const conditions = restore.status?.conditions;
  return isConditionTrue(conditions, 'Ready') || isConditionTrue(conditions, 'Failed');
}

export function isRestored(restore: Restore): boolean {
  return isConditionTrue(restore.status?.conditions, 'ProcessesRestored');
}

export function deadlineMillis(restore: Restore): number {
  const seconds = restore.spec.timeoutSeconds ?? RESTORE_DEFAULTS.timeoutSeconds;
  return Date.parse(restore.metadata.creationTimestamp ?? '') + seconds * 1000;
}

export function isAhead(restore: Restore): boolean {
  return (restore.spec.placement ?? RESTORE_DEFAULTS.placement) === 'Ahead';
}

export function isOurs(restore: Restore, pod: Pod): boolean {
  return pod.metadata.labels?.[LABELS.restoreUid] === restore.metadata.uid;
}

/** The pod that this Restore made, unless it is going already. */
export function ownPod({ restore, pod }: RestoreFacts): Pod | undefined {
  const alive = pod !== undefined && pod.metadata.deletionTimestamp === undefined;
  return alive && isOurs(restore, pod) ? pod : undefined;
}

export function attemptsOf(restore: Restore): number {
  return restore.status?.attempts ?? 1;
}

/** Not one that an earlier attempt left behind. */
export function isOfThisAttempt(restore: Restore, pod: Pod): boolean {
  return Number(pod.metadata.labels?.[LABELS.attempt] ?? 1) >= attemptsOf(restore);
}

export function fail(reason: FailureReason, facts: string): Extract<RestoreStep, { do: 'fail' }> {
  return { do: 'fail', reason, facts };
}

export function wait(
  reason: WaitingReason,
  facts: string,
  againAfterMillis = 2_000,
): Extract<RestoreStep, { do: 'wait' }> {
  return { do: 'wait', reason, facts, againAfterMillis };
}

/** What was restored is not what was saved. */
export function notVerified({ status }: Restore, consequence: string): RestoreStep | undefined {
  const verified = findCondition(status?.conditions, 'Verified');
  // The advice ends the message of the condition; it is added again.
  return verified?.status === 'False'
    ? fail(verified.reason as FailureReason, `${consequence}; see the condition Verified`)
    : undefined;
}
