// What is done to the cluster for a Restore that waits for a controller's next replica.
import { LABELS } from '../../crds/names.ts';
import type { Restore } from '../../crds/restore.ts';
import { isNotFound } from '../../kube/api-error.ts';
import { ignoring } from '../cluster/actions.ts';
import type { Pod } from '../cluster/pod.ts';
import type { ClusterResources } from '../cluster/types.ts';
import type { RestoreStep } from './facts.ts';

/** The part of a step that the status does not do: the policy acts while both label and status say so. */
export async function performAdoption(
  resources: ClusterResources,
  restore: Restore,
  step: RestoreStep,
  signal: AbortSignal,
): Promise<void> {
  if (step.do === 'arm-adoption') {
    await label(resources, restore, 'true', signal);
  }
  // Of a replica that is there, too: first goes what keeps its controller from making others.
  if (step.do === 'disarm-adoption' || step.do === 'take-replica') {
    await label(resources, restore, null, signal);
  }
  if (step.do === 'take-replica') {
    await takeForOurs(resources, step.pod, signal);
  }
}

async function label(
  resources: ClusterResources,
  { metadata }: Restore,
  waiting: 'true' | null,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  const patch = { metadata: { uid, labels: { [LABELS.waiting]: waiting } } };
  await resources.restores.mergePatch({ namespace, name }, patch, { signal });
}

/** From here on it is one of the pods that the controller watches. */
async function takeForOurs(
  resources: ClusterResources,
  { metadata }: Pod,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  const patch = { metadata: { uid, labels: { [LABELS.role]: 'restored' } } };
  await ignoring(isNotFound, resources.pods.mergePatch({ namespace, name }, patch, { signal }));
}
