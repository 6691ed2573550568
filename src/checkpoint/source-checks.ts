// Whether the source can be saved at all: ordered checks of the pod, its containers and its node; the first that
// applies decides (pure).
import { longRunningContainers, type Pod, statusOfContainer } from '../cluster/pod.ts';
import { unsupportedPod } from '../cluster/unsupported-pod.ts';
import { isNodeReady } from '../cluster/types.ts';
import { hookObjection } from '../cluster/hooks.ts';
import { agentOn } from '../cluster/agents.ts';
import { isDryRun } from './dump-task.ts';
import { type CheckpointFacts, type CheckpointStep, isAccepted } from './facts.ts';

/** Things applied together with the Checkpoint may come a little later. */
export const ABSENCE_GRACE_MILLIS = 10_000;
const POLL_MILLIS = 2_000;

type Check = (facts: CheckpointFacts) => CheckpointStep | undefined;

/** Before anything else: the pod is there, runs, and is one that can be saved. */
export const SOURCE_CHECKS: readonly Check[] = [
  podIsMissing,
  podIsAnother,
  podIsUnsupported,
  podDoesNotRun,
  containerIsMissing,
  containerDoesNotRun,
  hooksCannotRun,
];

/** Later, since they pass by themselves. */
export const NODE_CHECKS: readonly Check[] = [nodeIsMissing, nodeIsNotReady, agentIsMissing];

export function firstObjection(
  checks: readonly Check[],
  facts: CheckpointFacts,
): CheckpointStep | undefined {
  for (const check of checks) {
    const step = check(facts);
    if (step !== undefined) {
      return step;
    }
  }
  return undefined;
}

/** Names of the containers to save: those asked for, else all that run. */
export function wantedContainers({ checkpoint, pod }: CheckpointFacts): readonly string[] {
  const asked = checkpoint.spec.source.pod.containers ?? [];
  if (asked.length > 0 || pod === undefined) {
    return asked;
  }
  return longRunningContainers(pod.spec)
    .map(({ name }) => name)
    .filter((name) => isRunning(pod, name));
}

function podIsMissing({ checkpoint, pod, nowMillis }: CheckpointFacts): CheckpointStep | undefined {
  if (pod !== undefined) {
    return undefined;
  }
  const facts = `pod "${checkpoint.spec.source.pod.name}" does not exist`;
  if (isAccepted(checkpoint)) {
    return { do: 'fail', reason: 'PodDeleted', facts: `${facts} any more` };
  }
  const age = nowMillis - Date.parse(checkpoint.metadata.creationTimestamp ?? '');
  return age < ABSENCE_GRACE_MILLIS
    ? { do: 'wait', reason: 'Pending', facts, againAfterMillis: POLL_MILLIS }
    : { do: 'fail', reason: 'PodNotFound', facts };
}

function podIsAnother({ checkpoint, pod }: CheckpointFacts): CheckpointStep | undefined {
  const meant = checkpoint.status?.source?.podUID ?? checkpoint.spec.source.pod.uid;
  const uid = pod?.metadata.uid;
  return meant === undefined || meant === uid
    ? undefined
    : { do: 'fail', reason: 'PodChanged', facts: `the pod has the uid ${uid}, meant is ${meant}` };
}

function podIsUnsupported({ pod }: CheckpointFacts): CheckpointStep | undefined {
  const objection = pod && unsupportedPod(pod);
  return objection === undefined
    ? undefined
    : { do: 'fail', reason: 'PodUnsupported', facts: `this pod cannot be saved, ${objection}` };
}

function podDoesNotRun({ checkpoint, pod }: CheckpointFacts): CheckpointStep | undefined {
  const phase = pod?.status?.phase;
  if (pod?.metadata.deletionTimestamp !== undefined) {
    const reason = isAccepted(checkpoint) ? 'PodDeleted' : 'PodNotRunning';
    return { do: 'fail', reason, facts: 'the pod is being deleted' };
  }
  if (phase === 'Running') {
    return undefined;
  }
  const facts = `the pod's phase is ${phase ?? 'unknown'}`;
  return phase === 'Succeeded' || phase === 'Failed'
    ? { do: 'fail', reason: 'PodNotRunning', facts }
    : {
        do: 'wait',
        reason: 'Pending',
        facts: `${facts}, waiting for Running`,
        againAfterMillis: POLL_MILLIS,
      };
}

function containerIsMissing(facts: CheckpointFacts): CheckpointStep | undefined {
  const known = facts.pod === undefined ? [] : longRunningContainers(facts.pod.spec);
  const stranger = wantedContainers(facts).find((name) => !known.some((c) => c.name === name));
  if (stranger === undefined) {
    return undefined;
  }
  const names = known.map(({ name }) => name).join(', ');
  const message = `the pod has no container "${stranger}", it has ${names}`;
  return { do: 'fail', reason: 'ContainerNotFound', facts: message };
}

function containerDoesNotRun(facts: CheckpointFacts): CheckpointStep | undefined {
  const { pod } = facts;
  const wanted = wantedContainers(facts);
  const resting = wanted.find((name) => pod !== undefined && !isRunning(pod, name));
  if (resting === undefined && wanted.length > 0) {
    return undefined;
  }
  const message =
    resting === undefined ? 'no container of the pod runs' : `container "${resting}" does not run`;
  return { do: 'fail', reason: 'ContainerNotRunning', facts: message };
}

function isRunning(pod: Pod, name: string): boolean {
  const status = statusOfContainer(pod, name);
  return status?.state?.running !== undefined && status.containerID !== undefined;
}

/** A rehearsal runs none. */
function hooksCannotRun(facts: CheckpointFacts): CheckpointStep | undefined {
  const { checkpoint, pod } = facts;
  if (pod === undefined || isDryRun(checkpoint)) {
    return undefined;
  }
  const target = { pod, containers: wantedContainers(facts) };
  const objection = hookObjection(checkpoint.spec.hooks, undefined, target);
  return objection && { do: 'fail', ...objection };
}

function nodeIsMissing({ pod, node }: CheckpointFacts): CheckpointStep | undefined {
  return node === undefined
    ? { do: 'fail', reason: 'NodeLost', facts: `node ${pod?.spec.nodeName ?? ''} does not exist` }
    : undefined;
}

function nodeIsNotReady({ node }: CheckpointFacts): CheckpointStep | undefined {
  return node === undefined || isNodeReady(node)
    ? undefined
    : {
        do: 'wait',
        reason: 'NodeNotReady',
        facts: `node ${node.metadata.name} is not ready`,
        againAfterMillis: POLL_MILLIS,
      };
}

function agentIsMissing({ agents, node }: CheckpointFacts): CheckpointStep | undefined {
  const name = node?.metadata.name ?? '';
  return agentOn(agents, name)?.ready === true
    ? undefined
    : {
        do: 'wait',
        reason: 'AgentUnavailable',
        facts: `no ready agent runs on node ${name}`,
        againAfterMillis: POLL_MILLIS,
      };
}
