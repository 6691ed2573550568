// Gathers everything that a decision about a Migration rests on: live, since who may run hangs on it.
import type { Migration } from '../../crds/migration.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { mountedClaims, nodesToChoose } from '../cluster/mounted-claims.ts';
import type { Pod } from '../cluster/pod.ts';
import type { ClusterView } from '../cluster/view.ts';
import { isAccepted, isFinishedMigration, type MigrationFacts } from './facts.ts';

export async function observeMigration(
  view: ClusterView,
  { key, signal }: ReconcileContext,
): Promise<MigrationFacts | Gone> {
  const { resources, clock } = view;
  const migration = await resources.migrations.find(parseKey(key), { signal });
  if (migration === undefined) {
    return GONE;
  }
  const { namespace, name } = migration.metadata;
  const { source, target } = migration.status ?? {};
  const newPodName = target?.podName;
  const [pod, checkpoint, restore, newPod] = await Promise.all([
    resources.pods.find({ namespace, name: migration.spec.podRef.name }, { signal }),
    resources.checkpoints.find({ namespace, name }, { signal }),
    resources.restores.find({ namespace, name }, { signal }),
    newPodName === undefined
      ? undefined
      : resources.pods.find({ namespace, name: newPodName }, { signal }),
  ]);
  const volumes = isAccepted(migration) ? [] : (pod?.spec.volumes ?? []);
  const [mounts, sourceNode, targetNode, newNode] = await Promise.all([
    mountedClaims(resources, namespace, volumes, signal),
    view.node(source?.node ?? pod?.spec.nodeName, signal),
    view.node(migration.spec.target.nodeName, signal),
    view.node(newPod?.spec.nodeName, signal),
  ]);
  const [adoptionInstalled, updating] = isAccepted(migration)
    ? [true, false]
    : await Promise.all([view.adoptionInstalled(signal), isUpdating(view, pod, signal)]);
  const asked = migration.spec.target.nodeName;
  const nodes = await nodesToChoose(resources, mounts, asked, signal);
  const pods = { pod, newPod, sourceNode, targetNode, newNode, mounts, nodes };
  const rivals = rivalsOf(view, migration);
  const agents = view.agents();
  const found = { checkpoint, restore, rivals, agents, adoptionInstalled, updating };
  return { nowMillis: clock.now(), migration, ...found, ...pods };
}

/** Whether the next replica of a StatefulSet is of another revision than the pod. */
async function isUpdating(
  view: ClusterView,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const owner = pod?.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.kind !== 'StatefulSet') {
    return false;
  }
  const { namespace } = pod?.metadata ?? {};
  const set = await view.resources.statefulSets.find({ namespace, name: owner.name }, { signal });
  const { updateRevision } = set?.status ?? {};
  return (
    updateRevision !== undefined &&
    updateRevision !== pod?.metadata.labels?.['controller-revision-hash']
  );
}

function rivalsOf(view: ClusterView, { metadata, spec }: Migration): readonly Migration[] {
  return view.caches.migrations
    .values()
    .filter(
      (other) =>
        other.metadata.namespace === metadata.namespace &&
        other.metadata.uid !== metadata.uid &&
        other.spec.podRef.name === spec.podRef.name &&
        !isFinishedMigration(other),
    );
}
