// Everything a decision about a Checkpoint rests on, and the steps it can lead to.
import {
  CHECKPOINT_DEFAULTS,
  type Checkpoint,
  type Estimate,
  type PodTemplate,
} from '../../crds/checkpoint.ts';
import type { CheckpointStore } from '../../crds/checkpoint-store.ts';
import type { FailureReason, Reason, WaitingReason } from '../../crds/conditions.ts';
import { FINALIZERS } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { API_VERSION, type Report } from '../../crds/meta.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import type { ClaimFacts } from '../checkpoint-store/claim.ts';
import type { Agent } from '../cluster/agents.ts';
import type { Pod } from '../cluster/pod.ts';
import type { ClusterStep } from '../cluster/steps.ts';
import type { CoreEvent, Node } from '../cluster/types.ts';
import type { MountedClaim } from '../cluster/volume-reach.ts';

export interface CheckpointFacts {
  readonly nowMillis: number;
  readonly checkpoint: Checkpoint;
  /** of the source's name, whatever its uid */
  readonly pod: Pod | undefined;
  /** of the pod, or of the saved pod once it is gone */
  readonly node: Node | undefined;
  /** of the cluster, where a dry run asks which could take the pod */
  readonly nodes: readonly Node[];
  /** of a dry run: claims that the pod mounts */
  readonly mounts: readonly MountedClaim[];
  readonly agents: readonly Agent[];
  /** what kubelets say about the pod's probes */
  readonly probeEvents: readonly CoreEvent[];
  readonly store: CheckpointStore | undefined;
  readonly claim: ClaimFacts | undefined;
  /** of the claim, on any node */
  readonly holders: readonly Pod[];
  /** all NodeTasks, as far as the cache knows */
  readonly tasks: readonly NodeTask[];
  /** the Dump task of the pod, whoever owns it */
  readonly dump: NodeTask | undefined;
  readonly thaw: NodeTask | undefined;
  readonly deletion: NodeTask | undefined;
  /** where the bundle is streamed to, if it is */
  readonly receive: NodeTask | undefined;
  /** other unfinished Checkpoints of the same pod */
  readonly rivals: readonly Checkpoint[];
  readonly namespaceEnding: boolean;
  /** a Migration that made the Checkpoint and is not done: it alone decides what becomes of the source */
  readonly migrating: boolean;
}

/** Steps that only say something. */
export type CheckpointNote =
  | { readonly do: 'nothing'; readonly againAfterMillis?: number }
  | {
      readonly do: 'accept';
      readonly pod: Pod;
      readonly template: PodTemplate;
      /** none where the bundle is streamed to another node */
      readonly store?: { readonly name: string; readonly claimName: string };
      readonly containers: readonly { readonly name: string; readonly imageID: string }[];
    }
  | {
      readonly do: 'wait';
      readonly reason: WaitingReason;
      readonly facts: string;
      readonly againAfterMillis: number;
    }
  | { readonly do: 'progress'; readonly task: NodeTask }
  | { readonly do: 'retry'; readonly facts: string }
  | { readonly do: 'store-result'; readonly task: NodeTask; readonly estimate?: Estimate }
  | { readonly do: 'finish' }
  | {
      readonly do: 'note-source';
      readonly frozen: 'True' | 'False' | 'Unknown';
      readonly reason: Reason;
      /** of hooks that failed */
      readonly report?: readonly Report[];
    }
  | {
      readonly do: 'fail';
      readonly reason: FailureReason;
      readonly facts: string;
      readonly report?: readonly Report[];
      /** a Dump with KeepFrozen was under way: the source may stand still */
      readonly maybeFrozen?: boolean;
    };

export type CheckpointStep =
  | CheckpointNote
  | Exclude<ClusterStep, { do: 'create-placeholder' | 'delete-placeholder' }>;

/** Whether the bundle goes to another node and nowhere else. */
export function isTransferred({ spec }: Checkpoint): boolean {
  return spec.transfer !== undefined;
}

export function hasFinalizer(checkpoint: Checkpoint): boolean {
  return checkpoint.metadata.finalizers?.includes(FINALIZERS.checkpoint) ?? false;
}

/** Ready or failed for good. */
export function isFinishedCheckpoint(checkpoint: Checkpoint): boolean {
  const conditions = checkpoint.status?.conditions;
  return isConditionTrue(conditions, 'Ready') || isConditionTrue(conditions, 'Failed');
}

export function isAccepted(checkpoint: Checkpoint): boolean {
  return isConditionTrue(checkpoint.status?.conditions, 'Accepted');
}

/** Whether Diapause may still keep the source frozen. */
export function maybeFrozen(checkpoint: Checkpoint): boolean {
  const frozen = findCondition(checkpoint.status?.conditions, 'SourceFrozen');
  return frozen !== undefined && frozen.status !== 'False';
}

export function deadlineMillis(checkpoint: Checkpoint): number {
  const seconds = checkpoint.spec.limits?.timeoutSeconds ?? CHECKPOINT_DEFAULTS.timeoutSeconds;
  return Date.parse(checkpoint.metadata.creationTimestamp ?? '') + seconds * 1000;
}

/** Whether a Migration made it. */
export function isOfMigration(checkpoint: Checkpoint): boolean {
  return makerOf(checkpoint) === 'Migration';
}

/** Whether who made it ends the freeze in time. */
export function isFreezeEnded(checkpoint: Checkpoint): boolean {
  return isOfMigration(checkpoint) || makerOf(checkpoint) === 'CheckpointGroup';
}

function makerOf({ metadata }: Checkpoint): string | undefined {
  return metadata.ownerReferences?.find(
    ({ apiVersion, controller }) => apiVersion === API_VERSION && controller === true,
  )?.kind;
}

export function isOwner(checkpoint: Checkpoint, task: NodeTask): boolean {
  return task.spec.owner.uid === checkpoint.metadata.uid;
}

/** The pod that the Checkpoint was accepted for, if it still exists. */
export function acceptedPod({ checkpoint, pod }: CheckpointFacts): Pod | undefined {
  const uid = checkpoint.status?.source?.podUID;
  return pod?.metadata.uid === uid ? pod : undefined;
}

export function fail(
  reason: FailureReason,
  facts: string,
): Extract<CheckpointStep, { do: 'fail' }> {
  return { do: 'fail', reason, facts };
}
