// Gathers everything that a decision about a Restore rests on.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore } from '../../crds/restore.ts';
import { GONE, type Gone, type ReconcileContext } from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { isTransferred } from '../checkpoint/facts.ts';
import { mountedClaims, nodesToChoose } from '../cluster/mounted-claims.ts';
import type { Pod, Volume } from '../cluster/pod.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Node } from '../cluster/types.ts';
import { type PlaceholderFeatures, placeholderFeatures } from '../placeholder/features.ts';
import { newPodName, wantedPod } from '../placeholder/wanted-pod.ts';
import { isAdopting } from './adopt.ts';
import { rewoundPod } from './in-place.ts';
import { isFinishedRestore, isOurs, type RestoreFacts } from './facts.ts';
import { observeAdoption } from './observe-adoption.ts';

const NO_FEATURES: PlaceholderFeatures = { imageVolume: false, containerRestartPolicy: false };

/** @param serverVersion of the API server, as in `v1.37.2` */
export async function observeRestore(
  view: ClusterView,
  serverVersion: string,
  { key, signal }: ReconcileContext,
): Promise<RestoreFacts | Gone> {
  const restore = await view.resources.restores.find(parseKey(key), { signal });
  if (restore === undefined) {
    return GONE;
  }
  const { namespace } = restore.metadata;
  const checkpoint = await findCheckpoint(view, restore, signal);
  const name = rewoundPod(restore)?.name ?? newPodName(restore, checkpoint);
  const named = await view.resources.pods.find({ namespace, name }, { signal });
  // The replica before ours has its name in a StatefulSet.
  const isAnother = isAdopting(restore) && named !== undefined && !isOurs(restore, named);
  const [pod, occupant] = isAnother ? [undefined, named] : [named, undefined];
  const asked = wantedPod(restore).nodeName;
  const volumes = pod === undefined ? volumesOf(checkpoint) : [];
  const [node, mounts, claim, task, receive, adoption] = await Promise.all([
    view.node(pod?.spec.nodeName ?? asked, signal),
    mountedClaims(view.resources, namespace, volumes, signal),
    view.claim(namespace, checkpoint?.status?.store?.claimName, signal),
    findTask(view, restore, pod, signal),
    findReceive(view, restore, checkpoint, signal),
    observeAdoption(view, restore, { checkpoint, occupant }, signal),
  ]);
  return {
    nowMillis: view.clock.now(),
    restore,
    checkpoint,
    pod,
    node,
    agents: view.agents(),
    claim,
    holders: view.holdersOf(claim?.claim?.metadata.uid),
    tasks: view.caches.tasks.values(),
    task,
    receive,
    features: await features(view, serverVersion, { restore, pod, node }, signal),
    mounts,
    nodes: await nodesToChoose(view.resources, mounts, asked, signal),
    adoption,
  };
}

/** Those of the saved pod, which the new one will have. */
function volumesOf(checkpoint: Checkpoint | undefined): readonly Volume[] {
  const { volumes = [] } = checkpoint?.status?.podTemplate?.spec ?? {};
  return volumes as readonly Volume[];
}

/** A running pod may be rewound by several Restores, one after the other. */
async function findTask(
  view: ClusterView,
  restore: Restore,
  pod: Pod | undefined,
  signal: AbortSignal,
): Promise<NodeTask | undefined> {
  const task = await view.task('Restore', podUidOf(restore, pod), signal);
  return task?.spec.owner.uid === restore.metadata.uid ? task : undefined;
}

/** Between the making of the pod and the status that tells of it, only the pod itself knows. */
function podUidOf(restore: Restore, pod: Pod | undefined): string | undefined {
  const isSubject = pod !== undefined && (isOurs(restore, pod) || rewoundPod(restore));
  const own = isSubject ? pod.metadata.uid : undefined;
  return restore.status?.pod?.uid ?? own;
}

/** While the Checkpoint is not asked for any more the cache is enough: only cleaning up is left. */
async function findReceive(
  view: ClusterView,
  restore: Restore,
  checkpoint: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<NodeTask | undefined> {
  const { uid } = restore.metadata;
  if (checkpoint === undefined) {
    const own = ({ spec }: NodeTask): boolean => spec.type === 'Receive' && spec.owner.uid === uid;
    return view.caches.tasks.values().find(own);
  }
  const subject = isTransferred(checkpoint) ? checkpoint.metadata.uid : undefined;
  const found = await view.task('Receive', subject, signal);
  return found?.spec.owner.uid === uid ? found : undefined;
}

/** Not needed any more once the Restore is done. */
async function findCheckpoint(
  view: ClusterView,
  restore: Restore,
  signal: AbortSignal,
): Promise<Checkpoint | undefined> {
  if (isFinishedRestore(restore)) {
    return undefined;
  }
  const { namespace } = restore.metadata;
  const { name } = restore.spec.checkpointRef;
  return await view.resources.checkpoints.find({ namespace, name }, { signal });
}

/** Needed only for making the pod. Every node that may get it must have a feature. */
async function features(
  view: ClusterView,
  serverVersion: string,
  found: {
    readonly restore: Restore;
    readonly pod: Pod | undefined;
    readonly node: Node | undefined;
  },
  signal: AbortSignal,
): Promise<PlaceholderFeatures> {
  const { restore, pod, node } = found;
  const isMade = (pod !== undefined && !isAdopting(restore)) || rewoundPod(restore) !== undefined;
  if (isMade || isFinishedRestore(restore)) {
    return NO_FEATURES;
  }
  if (node !== undefined) {
    return placeholderFeatures(serverVersion, [node]);
  }
  const agents = view.agents();
  const { items } = await view.resources.nodes.list({ signal });
  const served = items.filter(({ metadata }) => agents.some((a) => a.nodeName === metadata.name));
  return placeholderFeatures(serverVersion, served);
}
