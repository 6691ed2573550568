// What to do while the placeholder pod is starting (pure).
import type { RestorePayload, TaskContainer, TaskStore } from '../../crds/node-task.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { RESTORE_DEFAULTS } from '../../crds/restore.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { isTransferred } from '../checkpoint/facts.ts';
import { agentOn } from '../cluster/agents.ts';
import { hookObjection, taskAction, taskHooks } from '../cluster/hooks.ts';
import { type Pod, statusOfContainer, stuckContainer } from '../cluster/pod.ts';
import { holderStep } from '../cluster/steps.ts';
import { type HolderNeed, holderNeed } from '../holder/need.ts';
import { newTask } from '../node-task/task.ts';
import { savedContainers } from '../placeholder/template.ts';
import { attemptsOf, fail, type RestoreFacts, type RestoreStep, wait } from './facts.ts';
import { isReady, podOf, receiveObjection, receiveTask, sharedSpec } from './receiving.ts';

const IMAGE_PROBLEMS = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
];

/** @param pod ours, or the one to be rewound */
export function decidePlaced(facts: RestoreFacts, pod: Pod): RestoreStep {
  const { nodeName } = pod.spec;
  return ended(pod) ?? (nodeName === undefined ? unscheduled(pod) : onNode(facts, pod, nodeName));
}

function ended(pod: Pod): RestoreStep | undefined {
  const { name, deletionTimestamp } = pod.metadata;
  if (deletionTimestamp !== undefined) {
    return fail('PodGone', `pod ${name} is being deleted by somebody else`);
  }
  const { phase, message, reason } = pod.status ?? {};
  return phase === 'Failed' || phase === 'Succeeded'
    ? fail('PlaceholderFailed', `pod ${name} ended too soon: ${message ?? reason ?? phase}`)
    : undefined;
}

function onNode(facts: RestoreFacts, pod: Pod, nodeName: string): RestoreStep {
  if (facts.checkpoint !== undefined && isTransferred(facts.checkpoint)) {
    return decideReceiving(facts, pod, nodeName);
  }
  const need = neededHolder(facts, nodeName);
  // The holder starts while the placeholder does.
  if (need !== undefined && need.need !== 'nothing' && need.need !== 'wait') {
    return holderStep(need);
  }
  const notYet = starting(facts, pod) ?? imageMismatch(facts, pod);
  if (notYet !== undefined) {
    return notYet;
  }
  const objection = hookObjection(facts.restore.spec.hooks, facts.restore.spec.verify?.probe, {
    pod,
    containers: containersOf(facts),
  });
  if (objection !== undefined) {
    return fail(objection.reason, objection.facts);
  }
  if (need === undefined) {
    return wait('AgentUnavailable', `no ready agent runs on node ${nodeName}`);
  }
  return need.need === 'nothing'
    ? (bundleMissing(facts, pod) ?? {
        do: 'create-task',
        task: restoreTask(facts, pod, { holder: need.holder }),
      })
    : holderStep(need);
}

/** The bundle comes straight from the other node: its place here is made before anything is frozen. */
function decideReceiving(facts: RestoreFacts, pod: Pod, nodeName: string): RestoreStep {
  const { receive } = facts;
  const notYet = starting(facts, pod) ?? imageMismatch(facts, pod);
  if (notYet !== undefined) {
    return notYet;
  }
  if (receive === undefined) {
    return agentOn(facts.agents, nodeName)?.ready === true
      ? { do: 'create-task', task: receiveTask(facts, pod) }
      : wait('AgentUnavailable', `no ready agent runs on node ${nodeName}`);
  }
  return (
    receiveObjection(facts, receive) ??
    bundleMissing(facts, pod) ?? {
      do: 'create-task',
      task: restoreTask(facts, pod, { received: { taskUid: receive.metadata.uid ?? '' } }),
    }
  );
}

/** Placed ahead: everything is there but the bundle. */
function bundleMissing({ restore, checkpoint }: RestoreFacts, pod: Pod): RestoreStep | undefined {
  if (isReady(checkpoint)) {
    return undefined;
  }
  return isConditionTrue(restore.status?.conditions, 'Placed')
    ? wait('CheckpointNotReady', 'waiting for the Checkpoint')
    : { do: 'placed', pod };
}

function unscheduled(pod: Pod): RestoreStep {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
    ? wait('Unschedulable', `pod ${pod.metadata.name}: ${scheduled.message ?? ''}`)
    : wait('StartingPlaceholder', `pod ${pod.metadata.name} has no node yet`, 1_000);
}

/** Undefined without an agent there. */
function neededHolder(facts: RestoreFacts, nodeName: string): HolderNeed | undefined {
  const agent = agentOn(facts.agents, nodeName);
  const claim = facts.claim?.claim;
  if (agent?.ready !== true || claim === undefined) {
    return undefined;
  }
  const { nowMillis, holders, tasks } = facts;
  return holderNeed({ nowMillis, claim, nodeName, image: agent.initImage, holders, tasks });
}

function starting(facts: RestoreFacts, pod: Pod): RestoreStep | undefined {
  const missing = containersOf(facts).filter((name) => {
    const status = statusOfContainer(pod, name);
    return status?.state?.running === undefined || status.containerID === undefined;
  });
  if (missing.length === 0) {
    return undefined;
  }
  const stuck = stuckContainer(pod);
  if (stuck === undefined) {
    const names = missing.join(', ');
    return wait('StartingPlaceholder', `pod ${pod.metadata.name}: starting ${names}`, 1_000);
  }
  const reason = IMAGE_PROBLEMS.includes(stuck.reason) ? 'ImageUnavailable' : 'StartingPlaceholder';
  return wait(reason, `pod ${pod.metadata.name}: ${stuck.message}`);
}

/** A rootfs difference fits only onto the image it was taken from, and so does the program in memory. */
export function imageMismatch({ checkpoint }: RestoreFacts, pod: Pod): RestoreStep | undefined {
  for (const { name, imageID } of savedContainers(checkpoint)) {
    const [saved, present] = [imageOf(imageID), imageOf(statusOfContainer(pod, name)?.imageID)];
    // A registry's digest and a node's own id cannot be compared here; the agent looks closer.
    const comparable = saved?.kind === present?.kind && saved !== undefined;
    if (comparable && saved.digest !== present?.digest) {
      const facts = `container ${name} was saved from ${saved.digest} and would be restored onto ${present?.digest}`;
      return fail('ImageMismatch', facts);
    }
  }
  return undefined;
}

interface Image {
  readonly kind: 'registry' | 'local';
  readonly digest: string;
}

function imageOf(imageID: string | undefined): Image | undefined {
  const digest = /sha256:[0-9a-f]{64}$/.exec(imageID ?? '')?.[0];
  return digest === undefined
    ? undefined
    : { kind: imageID?.includes('@') === true ? 'registry' : 'local', digest };
}

function containersOf({ checkpoint }: RestoreFacts): readonly string[] {
  return savedContainers(checkpoint).map(({ name }) => name);
}

type BundlePlace =
  | { readonly holder: Omit<TaskStore, 'bundlePath'> }
  | Required<Pick<RestorePayload, 'received'>>;

function restoreTask(facts: RestoreFacts, pod: Pod, place: BundlePlace): NodeTask {
  const { restore } = facts;
  const { uid = '' } = pod.metadata;
  return newTask(
    uid,
    {
      ...sharedSpec(facts, pod),
      type: 'Restore',
      restore: payloadOf(facts, pod, place),
    },
    attemptsOf(restore),
  );
}

function payloadOf(facts: RestoreFacts, pod: Pod, place: BundlePlace): RestorePayload {
  const { restore, checkpoint } = facts;
  const { path: bundlePath = '', digest: bundleDigest = '' } = checkpoint?.status?.bundle ?? {};
  const containers: readonly TaskContainer[] = containersOf(facts).map((container) => {
    const { containerID = '', imageID = '' } = statusOfContainer(pod, container) ?? {};
    return { name: container, containerID, imageID };
  });
  const target = { pod, containers: containers.map((one) => one.name) };
  const hooks = taskHooks(restore.spec.hooks, target);
  const probe = restore.spec.verify?.probe;
  return {
    pod: podOf(pod),
    containers,
    ...('holder' in place ? { store: { ...place.holder, bundlePath } } : place),
    bundleDigest,
    ...(hooks && { hooks }),
    ...(probe && {
      probe: {
        ...taskAction(probe, target),
        timeoutSeconds: probe.timeoutSeconds ?? RESTORE_DEFAULTS.probeTimeoutSeconds,
      },
    }),
    ...(restore.spec.target?.type === 'InPlace' && { inPlace: true }),
  };
}
