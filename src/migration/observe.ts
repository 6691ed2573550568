// Gathers everything that a decision about a Migration rests on: live, since who may run hangs on it.
import type { Migration } from '../../crds/migration.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import type { ClusterView } from '../cluster/view.ts';
import { isFinishedMigration, type MigrationFacts } from './facts.ts';

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
  const [sourceNode, targetNode, newNode] = await Promise.all([
    view.node(source?.node ?? pod?.spec.nodeName, signal),
    view.node(migration.spec.target.nodeName, signal),
    view.node(newPod?.spec.nodeName, signal),
  ]);
  const nodes = { sourceNode, targetNode, newNode };
  const rivals = rivalsOf(view, migration);
  return { nowMillis: clock.now(), migration, pod, checkpoint, restore, newPod, rivals, ...nodes };
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
