// What to do while a Checkpoint is being deleted: stop the work, let the source go, remove the bundle (pure).
// Bounded: a store that never answers must not block the deletion, or that of the namespace, for ever.
import { CHECKPOINT_DEFAULTS } from '../../crds/checkpoint.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import { findCondition } from '../../kube/conditions.ts';
import { type Agent, agentOn } from '../cluster/agents.ts';
import { holderNeed } from '../holder/need.ts';
import { ANNOTATIONS } from '../../crds/names.ts';
import { newTask, retryable, taskHealth } from '../node-task/task.ts';
import { decideSource } from './afterwards.ts';
import { bundlePathOf, ownerOf } from './dump-task.ts';
import {
  type CheckpointFacts,
  type CheckpointStep,
  hasFinalizer,
  isOwner,
  maybeFrozen,
} from './facts.ts';
import { holderStep } from '../cluster/steps.ts';
import { keptFrozen } from './running.ts';

/** From the request for deletion: to stop the work and let the source go, and for everything. */
const STOP_MILLIS = 60_000;
const BUDGET_MILLIS = 180_000;
const POLL_MILLIS = 2_000;

export function decideDeletion(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, nowMillis } = facts;
  if (!hasFinalizer(checkpoint)) {
    return { do: 'nothing' };
  }
  const since = nowMillis - Date.parse(checkpoint.metadata.deletionTimestamp ?? '');
  const stopping = since < STOP_MILLIS || facts.migrating ? stop(facts) : undefined;
  if (stopping !== undefined) {
    return stopping;
  }
  if (nothingToRemove(facts)) {
    return { do: 'remove-finalizer' };
  }
  return remove(facts, since);
}

/** The Dump task, then the frozen source. */
function stop(facts: CheckpointFacts): CheckpointStep | undefined {
  const { checkpoint, dump, nowMillis } = facts;
  if (dump !== undefined && isOwner(checkpoint, dump)) {
    const health = taskHealth(dump, nowMillis);
    if (health === 'unclaimed') {
      return { do: 'delete-task', task: dump };
    }
    if (health === 'running') {
      return dump.spec.cancel === true
        ? waitFor('the agent to stop the work')
        : { do: 'cancel-task', task: dump };
    }
  }
  return mayStandStill(facts)
    ? (decideSource(facts) ?? waitFor('the agent to let the source go'))
    : undefined;
}

/** The status knows, or a task whose end it does not tell of yet. */
function mayStandStill({ checkpoint, dump }: CheckpointFacts): boolean {
  const known = findCondition(checkpoint.status?.conditions, 'SourceFrozen') !== undefined;
  return known
    ? maybeFrozen(checkpoint)
    : dump !== undefined && isOwner(checkpoint, dump) && keptFrozen(dump);
}

function nothingToRemove({ checkpoint, claim, namespaceEnding }: CheckpointFacts): boolean {
  const { spec, status } = checkpoint;
  const policy = spec.retention?.deletionPolicy ?? CHECKPOINT_DEFAULTS.deletionPolicy;
  return (
    policy === 'Retain' ||
    status?.attempts === undefined ||
    // The claim goes with its namespace, and no holder may be created in it any more.
    namespaceEnding ||
    claim?.claim === undefined ||
    claim.claim.metadata.deletionTimestamp !== undefined
  );
}

function remove(facts: CheckpointFacts, sinceMillis: number): CheckpointStep {
  const { deletion } = facts;
  if (
    deletion?.status?.state === 'Succeeded' ||
    deletion?.status?.error?.code === 'BundleMissing'
  ) {
    return { do: 'remove-finalizer' };
  }
  if (sinceMillis > BUDGET_MILLIS) {
    const why = deletion?.status?.error?.message ?? 'no node could reach the volume in time';
    return { do: 'remove-finalizer', orphaned: `${bundlePathOf(facts.checkpoint)}: ${why}` };
  }
  if (deletion !== undefined) {
    return retryable(deletion, facts.nowMillis)
      ? { do: 'delete-task', task: deletion }
      : waitFor('the agent to remove the bundle');
  }
  return removal(facts);
}

function removal(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, claim, nowMillis } = facts;
  const agent = reachingAgent(facts);
  if (agent === undefined || claim?.claim === undefined) {
    return waitFor('a ready agent on any node');
  }
  const need = holderNeed({
    nowMillis,
    claim: claim.claim,
    nodeName: agent.nodeName,
    image: agent.initImage,
    holders: facts.holders,
    tasks: facts.tasks,
  });
  if (need.need !== 'nothing') {
    return holderStep(need);
  }
  const task: NodeTask = newTask(checkpoint.metadata.uid ?? '', {
    nodeName: agent.nodeName,
    owner: ownerOf(checkpoint),
    deadline: formatTime(nowMillis + STOP_MILLIS),
    type: 'DeleteBundle',
    deleteBundle: { store: { ...need.holder, bundlePath: bundlePathOf(checkpoint) } },
  });
  return { do: 'create-task', task };
}

/** A node that has the volume already, else the source's, else any. */
function reachingAgent({ agents, holders, checkpoint }: CheckpointFacts): Agent | undefined {
  const ready = agents.filter((agent) => agent.ready);
  const holding = holders
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => agentOn(ready, pod.metadata.annotations?.[ANNOTATIONS.node] ?? ''));
  const source = agentOn(ready, checkpoint.status?.source?.node ?? '');
  return holding.find((agent) => agent !== undefined) ?? source ?? ready[0];
}

function waitFor(what: string): CheckpointStep {
  return {
    do: 'wait',
    reason: 'Deleting',
    facts: `waiting for ${what}`,
    againAfterMillis: POLL_MILLIS,
  };
}
