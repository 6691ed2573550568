// Gathers everything that a decision about a Migration rests on: live, since who may run hangs on it.
import type { Migration } from '../../crds/migration.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import type { Pod } from '../cluster/pod.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../cluster/types.ts';
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
  const [claims, sourceNode, targetNode, newNode] = await Promise.all([
    isAccepted(migration) ? [] : claimsOf(view, pod, signal),
    view.node(source?.node ?? pod?.spec.nodeName, signal),
    view.node(migration.spec.target.nodeName, signal),
    view.node(newPod?.spec.nodeName, signal),
  ]);
  const [adoptionInstalled, updating] = isAccepted(migration)
    ? [true, false]
    : await Promise.all([view.adoptionInstalled(signal), isUpdating(view, pod, signal)]);
  const volumes = await volumesOf(view, claims, signal);
  const nodes = await nodesFor(view, { migration, volumes }, signal);
  const pods = { pod, newPod, sourceNode, targetNode, newNode, claims, volumes, nodes };
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

async function claimsOf(
  { resources }: ClusterView,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<readonly PersistentVolumeClaim[]> {
  const { namespace } = pod?.metadata ?? {};
  const names = (pod?.spec.volumes ?? []).flatMap((v) => v.persistentVolumeClaim?.claimName ?? []);
  const found = await Promise.all(
    names.map((name) => resources.claims.find({ namespace, name }, { signal })),
  );
  return found.filter((claim) => claim !== undefined);
}

async function volumesOf(
  { resources }: ClusterView,
  claims: readonly PersistentVolumeClaim[],
  signal: AbortSignal,
): Promise<readonly PersistentVolume[]> {
  const names = claims.flatMap(({ spec }) => spec.volumeName ?? []);
  const found = await Promise.all(
    names.map((name) => resources.volumes.find({ name }, { signal })),
  );
  return found.filter((volume) => volume !== undefined);
}

async function nodesFor(
  { resources }: ClusterView,
  { migration, volumes }: Pick<MigrationFacts, 'migration' | 'volumes'>,
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const isBound = volumes.some(({ spec }) => spec.nodeAffinity?.required !== undefined);
  const isOpen = migration.spec.target.nodeName === undefined;
  return isBound && isOpen ? (await resources.nodes.list({ signal })).items : [];
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
