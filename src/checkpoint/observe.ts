// Gathers everything that a decision about a Checkpoint rests on.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointStore } from '../../crds/checkpoint-store.ts';
import type { ObjectMeta } from '../../crds/meta.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { chooseStore } from '../checkpoint-store/choose.ts';
import { mountedClaims } from '../cluster/mounted-claims.ts';
import { longRunningContainers, type Pod } from '../cluster/pod.ts';
import type { CoreEvent } from '../cluster/types.ts';
import type { ClusterView } from '../cluster/view.ts';
import { isFinishedMigration } from '../migration/facts.ts';
import { isDryRun } from './dump-task.ts';
import {
  type CheckpointFacts,
  isAccepted,
  isFinishedCheckpoint,
  isTransferred,
  maybeFrozen,
} from './facts.ts';

export async function observeCheckpoint(
  view: ClusterView,
  { key, signal }: ReconcileContext,
): Promise<CheckpointFacts | Gone> {
  const checkpoint = await view.resources.checkpoints.find(parseKey(key), { signal });
  if (checkpoint === undefined) {
    return GONE;
  }
  return isSettled(checkpoint)
    ? settledFacts(view, checkpoint)
    : await openFacts(view, checkpoint, signal);
}

/** Nothing but finished tasks may be left to clean up: caches are enough. */
function isSettled(checkpoint: Checkpoint): boolean {
  return (
    isFinishedCheckpoint(checkpoint) &&
    !maybeFrozen(checkpoint) &&
    checkpoint.metadata.deletionTimestamp === undefined
  );
}

function settledFacts(view: ClusterView, checkpoint: Checkpoint): CheckpointFacts {
  const podUid = checkpoint.status?.source?.podUID;
  return {
    ...noFacts(view, checkpoint),
    dump: view.cachedTask('Dump', podUid),
    thaw: view.cachedTask('Thaw', podUid),
  };
}

async function openFacts(
  view: ClusterView,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<CheckpointFacts> {
  const { namespace } = checkpoint.metadata;
  const { source, store: storage } = checkpoint.status ?? {};
  const [pod, store] = await Promise.all([
    view.resources.pods.find({ namespace, name: checkpoint.spec.source.pod.name }, { signal }),
    findStore(view, checkpoint, signal),
  ]);
  const podUid = source?.podUID ?? pod?.metadata.uid;
  const claimName = storage?.claimName ?? store?.spec.persistentVolumeClaim.claimName;
  const receiver = isTransferred(checkpoint) ? checkpoint.metadata.uid : undefined;
  const [node, trial, claim, dump, thaw, receive, probeEvents, ending] = await Promise.all([
    view.node(source?.node ?? pod?.spec.nodeName, signal),
    isDryRun(checkpoint) ? trialFacts(view, pod, signal) : {},
    view.claim(namespace, claimName, signal),
    view.task('Dump', podUid, signal),
    view.task('Thaw', podUid, signal),
    view.task('Receive', receiver, signal),
    listProbeEvents(view, pod, signal),
    endingFacts(view, checkpoint, signal),
  ]);
  const holders = view.holdersOf(claim?.claim?.metadata.uid);
  const rivals = rivalsOf(view, checkpoint);
  const tasks = { dump, thaw, receive };
  const found = { pod, node, probeEvents, store, claim, holders, rivals };
  return { ...noFacts(view, checkpoint), ...found, ...trial, ...tasks, ...ending };
}

/** Asked only for a dry run: where the pod could go. */
async function trialFacts(
  { resources }: ClusterView,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<Pick<CheckpointFacts, 'nodes' | 'mounts'>> {
  const { namespace } = pod?.metadata ?? {};
  const [{ items }, mounts] = await Promise.all([
    resources.nodes.list({ signal }),
    mountedClaims(resources, namespace, pod?.spec.volumes ?? [], signal),
  ]);
  return { nodes: items, mounts };
}

/** Asked only while the Checkpoint is being deleted. */
async function endingFacts(
  view: ClusterView,
  { metadata }: Checkpoint,
  signal: AbortSignal,
): Promise<Partial<CheckpointFacts>> {
  if (metadata.deletionTimestamp === undefined) {
    return {};
  }
  const [deletion, namespaceEnding, migrating] = await Promise.all([
    view.task('DeleteBundle', metadata.uid, signal),
    view.namespaceEnding(metadata.namespace, signal),
    isMigrating(view, metadata, signal),
  ]);
  return { deletion, namespaceEnding, migrating };
}

async function isMigrating(
  { resources }: ClusterView,
  { namespace, ownerReferences = [] }: ObjectMeta,
  signal: AbortSignal,
): Promise<boolean> {
  const owner = ownerReferences.find(({ kind }) => kind === 'Migration');
  const migration =
    owner && (await resources.migrations.find({ namespace, name: owner.name }, { signal }));
  return (
    migration !== undefined &&
    migration.metadata.uid === owner?.uid &&
    !isFinishedMigration(migration)
  );
}

function noFacts(view: ClusterView, checkpoint: Checkpoint): CheckpointFacts {
  return {
    nowMillis: view.clock.now(),
    checkpoint,
    pod: undefined,
    node: undefined,
    nodes: [],
    mounts: [],
    agents: view.agents(),
    probeEvents: [],
    store: undefined,
    claim: undefined,
    holders: [],
    tasks: view.caches.tasks.values(),
    dump: undefined,
    thaw: undefined,
    deletion: undefined,
    receive: undefined,
    rivals: [],
    namespaceEnding: false,
    migrating: false,
  };
}

/** Needed until the Checkpoint is accepted: then the claim is fixed. */
async function findStore(
  view: ClusterView,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<CheckpointStore | undefined> {
  if (isAccepted(checkpoint) || isTransferred(checkpoint)) {
    return undefined;
  }
  const { namespace } = checkpoint.metadata;
  const { items } = await view.resources.checkpointStores.list({ namespace, signal });
  return chooseStore(checkpoint.spec.storeRef?.name, items);
}

async function listProbeEvents(
  view: ClusterView,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<readonly CoreEvent[]> {
  const watched =
    pod !== undefined &&
    longRunningContainers(pod.spec).some((c) => c.livenessProbe ?? c.startupProbe);
  if (!watched) {
    return [];
  }
  const { namespace, uid = '' } = pod.metadata;
  const fieldSelector = `involvedObject.uid=${uid},reason=Unhealthy`;
  const { items } = await view.resources.events.list({ namespace, fieldSelector, signal });
  return items;
}

/** Other Checkpoints of the same pod that are not done with it. */
function rivalsOf(view: ClusterView, checkpoint: Checkpoint): readonly Checkpoint[] {
  const { namespace, uid } = checkpoint.metadata;
  return view.caches.checkpoints
    .values()
    .filter(
      (other) =>
        other.metadata.namespace === namespace &&
        other.metadata.uid !== uid &&
        other.spec.source.pod.name === checkpoint.spec.source.pod.name &&
        (!isFinishedCheckpoint(other) || maybeFrozen(other)),
    );
}
