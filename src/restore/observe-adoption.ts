// What a Restore needs to know of the controller whose next replica it waits for.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { ApiError, isAlreadyExists, isForbidden, isInvalid } from '../../kube/api-error.ts';
import type { Pod, PodSpec } from '../cluster/pod.ts';
import type { AnyObject } from '../cluster/types.ts';
import type { ClusterView } from '../cluster/view.ts';
import { replicaOwner } from '../placeholder/wanted-pod.ts';
import { isAdopting, isArmed } from './adopt.ts';
import { type AdoptionFacts, isFinishedRestore, isRestored } from './facts.ts';

/** @param occupant of the replica's name, and not ours */
export async function observeAdoption(
  view: ClusterView,
  restore: Restore,
  found: { readonly checkpoint: Checkpoint | undefined; readonly occupant: Pod | undefined },
  signal: AbortSignal,
): Promise<AdoptionFacts | undefined> {
  if (!isAdopting(restore) || isFinishedRestore(restore) || isRestored(restore)) {
    return undefined;
  }
  const { checkpoint, occupant } = found;
  const named = replicaOwner(restore, checkpoint);
  const [installed, owner] = await Promise.all([
    view.adoptionInstalled(signal),
    named && view.replicaOwner(restore.metadata.namespace, named, signal),
  ]);
  const asks = isArmed(restore) && restore.status?.adoption?.inForce !== true;
  const rehearsal = asks && owner ? await rehearse(view, restore, owner, signal) : undefined;
  return { owner, installed, occupant, rehearsal };
}

/**
 * Asks the API server what it would make of a replica without a name: it gets the name of ours if the policy knows of
 * the Restore. Nothing is stored.
 */
async function rehearse(
  view: ClusterView,
  { metadata, status }: Restore,
  owner: AnyObject,
  signal: AbortSignal,
): Promise<AdoptionFacts['rehearsal']> {
  const { podName = '', selector = {}, spec = {} } = status?.adoption ?? {};
  const { apiVersion, kind } = owner;
  const { name, uid = '' } = owner.metadata;
  const replica = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${podName.slice(0, 200)}-`,
      namespace: metadata.namespace ?? '',
      labels: selector,
      ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
    },
    spec: spec as unknown as PodSpec,
  } as unknown as Pod;
  try {
    const made = await view.resources.pods.create(replica, { dryRun: true, signal });
    return made.metadata.labels?.[LABELS.restoreUid] === metadata.uid ? 'Adopted' : 'NotYet';
  } catch (error) {
    if (isAlreadyExists(error)) {
      return 'Adopted';
    }
    if (error instanceof ApiError && (isForbidden(error) || isInvalid(error))) {
      return { refused: error.detail };
    }
    throw error;
  }
}
