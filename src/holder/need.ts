// Whether the volume can be reached on a node now, and if not, what to do about it (pure).
import type { TaskStore } from '../../crds/node-task.ts';
import { ANNOTATIONS, STORE_MOUNT_PATH } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import { type Pod, statusOfContainer, stuckContainer } from '../cluster/pod.ts';
import type { PersistentVolumeClaim } from '../cluster/types.ts';
import { holderName, holderPod, type HolderPlace } from './pod.ts';

/** A holder used within this time need not be told again that it is in use. */
const USE_FRESH_MILLIS = 60_000;
/** Longer than any image pull or volume mount that goes well. */
const START_MILLIS = 60_000;
/** The scheduler's first refusal is often a matter of moments. */
const SCHEDULE_MILLIS = 5_000;

export interface HolderFacts {
  readonly nowMillis: number;
  readonly claim: PersistentVolumeClaim;
  readonly nodeName: string;
  /** image of the init, as the agent of the node has it */
  readonly image: string;
  /** all holders of the claim, on any node */
  readonly holders: readonly Pod[];
  /** all NodeTasks there are */
  readonly tasks: readonly NodeTask[];
}

export type HolderNeed =
  | { readonly need: 'create'; readonly pod: Pod }
  /** a ReadWriteOnce volume hangs on another node, and nobody uses it there */
  | { readonly need: 'release'; readonly pod: Pod }
  | {
      readonly need: 'wait';
      readonly reason: 'PreparingStore' | 'HolderNotStarting';
      readonly message: string;
    }
  /** it is about to idle out: say first that it is in use */
  | { readonly need: 'touch'; readonly pod: Pod; readonly lastUsed: string }
  | { readonly need: 'nothing'; readonly holder: Omit<TaskStore, 'bundlePath'> };

export function holderNeed(facts: HolderFacts): HolderNeed {
  const { claim, nodeName, nowMillis } = facts;
  const place: HolderPlace = {
    namespace: claim.metadata.namespace ?? '',
    claimName: claim.metadata.name,
    claimUid: claim.metadata.uid ?? '',
    nodeName,
  };
  const name = holderName(place);
  const pod = facts.holders.find((holder) => holder.metadata.name === name);
  const elsewhere = facts.holders.filter((holder) => holder.metadata.name !== name);
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) {
    return prepare(facts, place, pod, elsewhere);
  }
  const running = statusOfContainer(pod, 'holder');
  if (running?.state?.running === undefined || running.containerID === undefined) {
    return starting(facts, pod, elsewhere);
  }
  const lastUsed = Date.parse(pod.metadata.annotations?.[ANNOTATIONS.lastUsed] ?? '');
  if (!(nowMillis - lastUsed < USE_FRESH_MILLIS)) {
    return { need: 'touch', pod, lastUsed: formatTime(nowMillis) };
  }
  const { namespace = '', uid = '' } = pod.metadata;
  return {
    need: 'nothing',
    holder: {
      holder: { namespace, name, uid },
      holderContainerID: running.containerID,
      mountPath: STORE_MOUNT_PATH,
    },
  };
}

function prepare(
  facts: HolderFacts,
  place: HolderPlace,
  ending: Pod | undefined,
  elsewhere: readonly Pod[],
): HolderNeed {
  if (ending !== undefined) {
    return wait(`the volume holder ${ending.metadata.name} is ending; another one follows`);
  }
  const blocking = blockingHolders(facts, elsewhere);
  if (blocking !== undefined) {
    return blocking;
  }
  return { need: 'create', pod: holderPod(place, facts.image, facts.nowMillis) };
}

function starting(facts: HolderFacts, pod: Pod, elsewhere: readonly Pod[]): HolderNeed {
  const blocking = blockingHolders(facts, elsewhere);
  if (blocking !== undefined) {
    return blocking;
  }
  const name = pod.metadata.name;
  const age = facts.nowMillis - Date.parse(pod.metadata.creationTimestamp ?? '');
  const stuck = stuckContainer(pod) ?? (age > SCHEDULE_MILLIS ? unscheduled(pod) : undefined);
  if (stuck !== undefined || age > START_MILLIS) {
    const message = `the volume holder ${name} on node ${facts.nodeName} does not start${stuck === undefined ? '' : `: ${stuck.message}`}`;
    return { need: 'wait', reason: 'HolderNotStarting', message };
  }
  return wait(`the volume holder ${name} is starting on node ${facts.nodeName}`);
}

/** A volume for one node at a time has to leave the other node first. */
function blockingHolders(facts: HolderFacts, elsewhere: readonly Pod[]): HolderNeed | undefined {
  const modes = facts.claim.status?.accessModes ?? facts.claim.spec.accessModes ?? [];
  if (modes.includes('ReadWriteMany') || elsewhere.length === 0) {
    return undefined;
  }
  const idle = elsewhere.find(
    (pod) => pod.metadata.deletionTimestamp === undefined && !isUsed(pod, facts.tasks),
  );
  if (idle !== undefined) {
    return { need: 'release', pod: idle };
  }
  const nodes = elsewhere.map((pod) => pod.metadata.annotations?.[ANNOTATIONS.node] ?? '?');
  return wait(
    `claim ${facts.claim.metadata.name} can be mounted on one node at a time and is still in use on ${nodes.join(', ')}`,
  );
}

/** Whether an unfinished task works through this holder. */
export function isUsed(holder: Pod, tasks: readonly NodeTask[]): boolean {
  return tasks.some((task) => {
    const ended = ['Succeeded', 'Failed', 'Canceled'].includes(task.status?.state ?? '');
    return !ended && storeOf(task)?.holder.uid === holder.metadata.uid;
  });
}

function storeOf({ spec }: NodeTask): TaskStore | undefined {
  switch (spec.type) {
    case 'Dump':
      return spec.dump.store;
    case 'Restore':
      return spec.restore.store;
    case 'DeleteBundle':
      return spec.deleteBundle.store;
    case 'Verify':
      return spec.verify.store;
    case 'Thaw':
    case 'Receive':
    case 'Describe':
      return undefined;
  }
}

function unscheduled(pod: Pod): { readonly message: string } | undefined {
  const scheduled = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  return scheduled?.status === 'False'
    ? { message: scheduled.message ?? 'unschedulable' }
    : undefined;
}

function wait(message: string): HolderNeed {
  return { need: 'wait', reason: 'PreparingStore', message };
}
