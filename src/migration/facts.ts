// Everything a decision about a Migration rests on, and the steps it can lead to.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { FailureReason, WaitingReason } from '../../crds/conditions.ts';
import { API_VERSION, type ObjectMeta, type OwnerReference } from '../../crds/meta.ts';
import { MIGRATION_DEFAULTS, type Migration, type MigrationStatus } from '../../crds/migration.ts';
import { FINALIZERS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import type { Agent } from '../cluster/agents.ts';
import type { Pod } from '../cluster/pod.ts';
import type { Node } from '../cluster/types.ts';
import type { MountedClaim } from '../cluster/volume-reach.ts';

export interface MigrationFacts {
  readonly nowMillis: number;
  readonly migration: Migration;
  /** of the source's name, whatever its uid */
  readonly pod: Pod | undefined;
  readonly sourceNode: Node | undefined;
  /** the one asked for */
  readonly targetNode: Node | undefined;
  /** of the names that ours have, whoever made them */
  readonly checkpoint: Checkpoint | undefined;
  readonly restore: Restore | undefined;
  /** of the new pod's name, whoever made it */
  readonly newPod: Pod | undefined;
  /** node of the new pod, once it has one */
  readonly newNode: Node | undefined;
  readonly agents: readonly Agent[];
  /** whether a controller's next replica can become the new pod; asked for until the Migration is accepted */
  readonly adoptionInstalled: boolean;
  /** the source's controller is about to make another revision of it */
  readonly updating: boolean;
  /** those that the pod mounts, until the Migration is accepted */
  readonly mounts: readonly MountedClaim[];
  /** of the cluster, where not all of them can mount the volumes and none was named */
  readonly nodes: readonly Node[];
  /** other unfinished Migrations of the same pod */
  readonly rivals: readonly Migration[];
}

export interface Failure {
  readonly reason: FailureReason;
  readonly facts: string;
}

export type MigrationStep =
  | { readonly do: 'nothing' }
  | { readonly do: 'add-finalizer' }
  | { readonly do: 'remove-finalizer' }
  | {
      readonly do: 'accept';
      readonly source: NonNullable<MigrationStatus['source']>;
      readonly podName: string;
    }
  | {
      readonly do: 'wait';
      readonly reason: WaitingReason;
      readonly facts: string;
      readonly againAfterMillis: number;
    }
  | { readonly do: 'create-checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly do: 'create-restore'; readonly restore: Restore }
  /** both ends are ready: the source may be frozen */
  | { readonly do: 'start-dump'; readonly checkpoint: Checkpoint }
  /** from here on a failure of the target is the only way back */
  | { readonly do: 'begin-release' }
  /** first thing to go when its ReplicaSet has one pod too many */
  | { readonly do: 'rank-source'; readonly pod: Pod }
  /** the ReplicaSet takes the new pod for its own */
  | {
      readonly do: 'hand-over';
      readonly pod: Pod;
      readonly labels: Readonly<Record<string, string>>;
    }
  /** its Job takes its end for no failure */
  | { readonly do: 'uncount-source'; readonly pod: Pod }
  | { readonly do: 'end-source'; readonly pod: Pod }
  | { readonly do: 'finish' }
  /** the decision to undo everything, written down before anything is undone */
  | ({ readonly do: 'give-up' } & Failure)
  | { readonly do: 'cancel-restore'; readonly restore: Restore }
  | { readonly do: 'end-target'; readonly pod: Pod }
  | { readonly do: 'cancel-checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly do: 'resume-source'; readonly checkpoint: Checkpoint }
  | ({ readonly do: 'fail' } & Failure)
  | { readonly do: 'delete-checkpoint'; readonly checkpoint: Checkpoint };

export function hasFinalizer(migration: Migration): boolean {
  return migration.metadata.finalizers?.includes(FINALIZERS.migration) ?? false;
}

/** Ready or failed for good. */
export function isFinishedMigration(migration: Migration): boolean {
  const { conditions } = migration.status ?? {};
  return isConditionTrue(conditions, 'Ready') || isConditionTrue(conditions, 'Failed');
}

export function isAccepted(migration: Migration): boolean {
  return isConditionTrue(migration.status?.conditions, 'Accepted');
}

export function deadlineMillis(migration: Migration): number {
  const seconds =
    migration.spec.limits?.completionTimeoutSeconds ?? MIGRATION_DEFAULTS.completionTimeoutSeconds;
  return Date.parse(migration.metadata.creationTimestamp ?? '') + seconds * 1000;
}

export function ownerReference({ metadata }: Migration): OwnerReference {
  const { name, uid = '' } = metadata;
  return { apiVersion: API_VERSION, kind: 'Migration', name, uid, controller: true };
}

export function isMade(migration: Migration, { metadata }: { metadata: ObjectMeta }): boolean {
  return metadata.ownerReferences?.some(({ uid }) => uid === migration.metadata.uid) ?? false;
}

/** The Checkpoint that the Migration made. */
export function ownCheckpoint({ migration, checkpoint }: MigrationFacts): Checkpoint | undefined {
  return checkpoint !== undefined && isMade(migration, checkpoint) ? checkpoint : undefined;
}

export function ownRestore({ migration, restore }: MigrationFacts): Restore | undefined {
  return restore !== undefined && isMade(migration, restore) ? restore : undefined;
}

/** The source pod as accepted, while it exists. */
export function sourcePod({ migration, pod }: MigrationFacts): Pod | undefined {
  return pod?.metadata.uid === migration.status?.source?.podUID ? pod : undefined;
}

/** The new pod that was known last. A pod that somebody else gave this name to is not it. */
export function targetPod(facts: MigrationFacts): Pod | undefined {
  const { migration, newPod } = facts;
  const known = ownRestore(facts)?.status?.pod?.uid ?? migration.status?.target?.podUID;
  return known !== undefined && newPod?.metadata.uid === known ? newPod : undefined;
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
}

export function wait(
  reason: WaitingReason,
  facts: string,
  againAfterMillis = 2_000,
): Extract<MigrationStep, { do: 'wait' }> {
  return { do: 'wait', reason, facts, againAfterMillis };
}
