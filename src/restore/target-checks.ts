// Whether the Checkpoint can be restored to where the Restore wants it: ordered checks, before anything is made (pure).
import type { FailureReason } from '../../crds/conditions.ts';
import type { ObjectMeta } from '../../crds/meta.ts';
import type { Restore } from '../../crds/restore.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { lackOfAll, lackOfNode, needsOf } from '../agent/fitness.ts';
import { judgeClaim } from '../checkpoint-store/claim.ts';
import { isTransferred } from '../checkpoint/facts.ts';
import { agentOn } from '../cluster/agents.ts';
import { isNodeReady, type Node } from '../cluster/types.ts';
import { isConfined, nameOf, nodesInReach, outOfReach } from '../cluster/volume-reach.ts';
import { goArchitecture, placeholderObjections } from '../placeholder/pod.ts';
import { adoptTarget, newPodName, wantedPod } from '../placeholder/wanted-pod.ts';
import { fail, isAhead, isOurs, type RestoreFacts, type RestoreStep, wait } from './facts.ts';

/** Things applied together with the Restore may come a little later. */
const ABSENCE_GRACE_MILLIS = 10_000;

export type Check = (facts: RestoreFacts) => RestoreStep | undefined;

/** The Checkpoint can be restored at all. */
export const CHECKPOINT_CHECKS: readonly Check[] = [
  checkpointIsMissing,
  checkpointHasFailed,
  checkpointIsElsewhere,
  checkpointIsNotReady,
  checkpointHasNoBundle,
  connectionsStay,
  overridesAreWrong,
];

/** The node can take it. */
export const NODE_CHECKS: readonly Check[] = [
  nodeHasAnotherArchitecture,
  nodeIsNotReady,
  agentIsMissing,
  nodeIsUnfit,
  claimIsUnusable,
];

/** It can be restored there. */
export const TARGET_CHECKS: readonly Check[] = [
  nameIsTaken,
  nodeIsMissing,
  volumeIsElsewhere,
  ...NODE_CHECKS,
];

export function firstObjection(
  checks: readonly Check[],
  facts: RestoreFacts,
): RestoreStep | undefined {
  for (const check of checks) {
    const step = check(facts);
    if (step !== undefined) {
      return step;
    }
  }
  return undefined;
}

function checkpointIsMissing(facts: RestoreFacts): RestoreStep | undefined {
  const { checkpoint, restore } = facts;
  const what = `Checkpoint "${restore.spec.checkpointRef.name}"`;
  if (checkpoint?.metadata.deletionTimestamp !== undefined) {
    return fail('CheckpointNotFound', `${what} is being deleted`);
  }
  if (checkpoint !== undefined) {
    return undefined;
  }
  return isYoung(facts)
    ? wait('Pending', `${what} does not exist`)
    : fail('CheckpointNotFound', `${what} does not exist`);
}

/** What was applied together with it may still come. */
export function isYoung({ restore, nowMillis }: RestoreFacts): boolean {
  const age = nowMillis - Date.parse(restore.metadata.creationTimestamp ?? '');
  return age < ABSENCE_GRACE_MILLIS;
}

function checkpointHasFailed({ checkpoint }: RestoreFacts): RestoreStep | undefined {
  const failed = checkpoint?.status?.conditions?.find(({ type }) => type === 'Failed');
  return failed?.status === 'True'
    ? fail('CheckpointFailed', `Checkpoint "${checkpoint?.metadata.name}": ${failed.message}`)
    : undefined;
}

/** Streamed from node to node: only the Restore that was made with it knows where to. */
function checkpointIsElsewhere({ checkpoint, restore }: RestoreFacts): RestoreStep | undefined {
  const maker = ({ ownerReferences = [] }: ObjectMeta): string | undefined =>
    ownerReferences.find(({ kind }) => kind === 'Migration')?.uid;
  const elsewhere =
    checkpoint !== undefined &&
    isTransferred(checkpoint) &&
    maker(checkpoint.metadata) !== maker(restore.metadata);
  const facts = `Checkpoint "${checkpoint?.metadata.name}" was streamed to another node and is stored nowhere`;
  return elsewhere ? fail('CheckpointHasNoBundle', facts) : undefined;
}

function checkpointIsNotReady({ checkpoint, restore }: RestoreFacts): RestoreStep | undefined {
  const conditions = checkpoint?.status?.conditions;
  const needed = isAhead(restore) ? 'Accepted' : 'Ready';
  if (isConditionTrue(conditions, needed)) {
    return undefined;
  }
  const ready = conditions?.find(({ type }) => type === 'Ready');
  const state = ready === undefined ? 'is not ready' : `is not ready (${ready.reason})`;
  return wait('CheckpointNotReady', `Checkpoint "${checkpoint?.metadata.name}" ${state}`);
}

function checkpointHasNoBundle({ checkpoint }: RestoreFacts): RestoreStep | undefined {
  const ready = isConditionTrue(checkpoint?.status?.conditions, 'Ready');
  return ready && checkpoint?.status?.bundle === undefined
    ? fail('CheckpointHasNoBundle', `Checkpoint "${checkpoint?.metadata.name}" was a dry run`)
    : undefined;
}

/** Connections to others go on in the pod that was saved and still runs, nowhere else. */
function connectionsStay({ checkpoint, restore }: RestoreFacts): RestoreStep | undefined {
  const { connections } = checkpoint?.status?.requirements ?? {};
  if (restore.spec.target?.type === 'InPlace' || !Array.isArray(connections)) {
    return undefined;
  }
  const [first, ...others] = connections.map(String);
  const all = others.length > 0 ? ` (and ${others.length} more)` : '';
  const facts = `connection ${first}${all} leads out of the saved pod and goes on in that pod only`;
  return first === undefined ? undefined : fail('ConnectionsStay', facts);
}

function overridesAreWrong({ checkpoint, restore }: RestoreFacts): RestoreStep | undefined {
  if (restore.spec.target?.type === 'InPlace') {
    return undefined;
  }
  const [objection] = checkpoint ? placeholderObjections(checkpoint, restore) : [];
  return objection === undefined ? undefined : fail('PodUnsupported', objection);
}

function nameIsTaken({ restore, checkpoint, pod }: RestoreFacts): RestoreStep | undefined {
  return pod === undefined || isOurs(restore, pod)
    ? undefined
    : fail('PodNameTaken', `a pod named "${newPodName(restore, checkpoint)}" exists already`);
}

function nodeIsMissing({ restore, node, pod }: RestoreFacts): RestoreStep | undefined {
  const asked = wantedPod(restore).nodeName;
  return asked !== undefined && node === undefined && pod === undefined
    ? fail('NodeNotFound', `${nodeField(restore)}: node "${asked}" does not exist`)
    : undefined;
}

function nodeField(restore: Restore): string {
  return `spec.target.${adoptTarget(restore) === undefined ? 'newPod' : 'adopt'}.nodeName`;
}

/** Else the new pod would wait for a node, or on it, until the time is over. */
function volumeIsElsewhere(facts: RestoreFacts): RestoreStep | undefined {
  const { restore, node, pod, mounts } = facts;
  if (pod !== undefined) {
    return undefined;
  }
  if (node !== undefined) {
    const missed = outOfReach(node, mounts);
    const who = `${nodeField(restore)}: node ${node.metadata.name} cannot mount`;
    return missed && fail('VolumeStaysBehind', `${who} ${nameOf(missed)}`);
  }
  const confined = mounts.find(isConfined);
  return confined === undefined || nodesInReach(nodesToTake(facts), mounts).size > 0
    ? undefined
    : fail('VolumeStaysBehind', `spec.target: no node can mount ${nameOf(confined)}`);
}

function nodesToTake({ restore, nodes }: RestoreFacts): readonly Node[] {
  const { excludedNodeNames = [] } = wantedPod(restore);
  return nodes.filter(({ metadata }) => !excludedNodeNames.includes(metadata.name));
}

function nodeHasAnotherArchitecture({
  restore,
  checkpoint,
  node,
  pod,
}: RestoreFacts): RestoreStep | undefined {
  const needed = goArchitecture(checkpoint?.status?.requirements);
  const present = node?.status?.nodeInfo?.architecture;
  const where = pod === undefined ? `${nodeField(restore)}: ` : '';
  return needed === undefined || present === undefined || needed === present
    ? undefined
    : fail(
        'ArchMismatch',
        `${where}node ${node?.metadata.name} is ${present}, the Checkpoint is ${needed}`,
      );
}

function nodeIsNotReady({ node }: RestoreFacts): RestoreStep | undefined {
  return node === undefined || isNodeReady(node)
    ? undefined
    : wait('NodeNotReady', `node ${node.metadata.name} is not ready`);
}

function agentIsMissing({ agents, node }: RestoreFacts): RestoreStep | undefined {
  if (node === undefined) {
    return agents.some(({ ready }) => ready)
      ? undefined
      : wait('AgentUnavailable', 'no ready agent runs on any node');
  }
  const { name } = node.metadata;
  return agentOn(agents, name)?.ready === true
    ? undefined
    : wait('AgentUnavailable', `no ready agent runs on node ${name}`);
}

/** One node is known, or the scheduler may choose among those with agents. */
function nodeIsUnfit(facts: RestoreFacts): RestoreStep | undefined {
  const { restore, agents, node, pod, mounts, checkpoint, nowMillis } = facts;
  const needs = needsOf(checkpoint, agents, nowMillis);
  if (node !== undefined) {
    const lack = lackOfNode(needs, agents, node.metadata.name);
    const where = pod === undefined ? `${nodeField(restore)}: ` : '';
    return lack && fail(lack.reason, `${where}${lack.facts}`);
  }
  const inReach = mounts.some(isConfined) && nodesInReach(nodesToTake(facts), mounts);
  const able = agents.filter(({ nodeName }) => inReach === false || inReach.has(nodeName));
  const lack = pod === undefined ? lackOfAll(needs, able) : undefined;
  return lack && fail(lack.reason, `spec.target: no node with an agent will do: ${lack.facts}`);
}

function claimIsUnusable({ claim }: RestoreFacts): RestoreStep | undefined {
  const verdict = claim && judgeClaim(claim);
  if (verdict === undefined || verdict.usable) {
    return undefined;
  }
  return verdict.reason === 'ClaimNotBound'
    ? wait(verdict.reason, verdict.facts)
    : fail(verdict.reason as FailureReason, verdict.facts);
}
