// What the new pod shall be like, whichever way it comes to be (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { AdoptedReplica, NewPod, ReplicaOwnerKind, Restore } from '../../crds/restore.ts';

/** Whose next replica becomes the restored pod. */
export interface ReplicaOwner {
  readonly kind: ReplicaOwnerKind;
  readonly name: string;
}

const OWNER_KINDS: readonly ReplicaOwnerKind[] = ['ReplicaSet', 'StatefulSet', 'Job'];

/** Undefined for a Restore that makes its pod by itself. */
export function adoptTarget({ spec }: Restore): AdoptedReplica | undefined {
  return spec.target?.type === 'Adopt' ? (spec.target.adopt ?? {}) : undefined;
}

/** Nothing is asked of a pod that runs already. */
export function wantedPod({ spec }: Restore): NewPod {
  const { target } = spec;
  if (target?.type === 'InPlace') {
    return {};
  }
  if (target?.type !== 'Adopt') {
    return target?.newPod ?? {};
  }
  const { podName, nodeName, excludedNodeNames, nodeSelector } = target.adopt ?? {};
  return {
    ...(podName !== undefined && { name: podName }),
    ...(nodeName !== undefined && { nodeName }),
    ...(excludedNodeNames && { excludedNodeNames }),
    ...(nodeSelector && { overrides: { nodeSelector } }),
  };
}

/** @param checkpoint undefined where it is not looked at any more: then the status knows the name */
export function newPodName(restore: Restore, checkpoint: Checkpoint | undefined): string {
  const wanted = wantedPod(restore).name ?? restore.status?.pod?.name;
  const ordinal =
    adoptTarget(restore) !== undefined && replicaOwner(restore, checkpoint)?.kind === 'StatefulSet'
      ? checkpoint?.spec.source.pod.name
      : undefined;
  return wanted ?? ordinal ?? restore.metadata.name;
}

/** The controller named by the Restore, else that of the saved pod; undefined if neither is one that can be waited for. */
export function replicaOwner(
  restore: Restore,
  checkpoint: Checkpoint | undefined,
): ReplicaOwner | undefined {
  const named = adoptTarget(restore)?.ownerRef;
  const { ownerKind, ownerName } = checkpoint?.status?.source ?? {};
  const kind = OWNER_KINDS.find((known) => known === ownerKind);
  return named ?? (kind && ownerName !== undefined ? { kind, name: ownerName } : undefined);
}
