// What to do next for a Checkpoint (pure): ordered questions, the first that applies decides.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { FailureReason } from '../../crds/conditions.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { agentOn } from '../cluster/agents.ts';
import { type Pod, statusOfContainer } from '../cluster/pod.ts';
import { watchingProbes } from '../cluster/probe-failures.ts';
import { judgeClaim } from '../checkpoint-store/claim.ts';
import { freezeLimit } from '../freeze-limit.ts';
import { holderNeed } from '../holder/need.ts';
import { isFinished } from '../node-task/task.ts';
import { podTemplate } from '../placeholder/template.ts';
import { decideAfterwards, decideRelease } from './afterwards.ts';
import { decideDeletion } from './deletion.ts';
import { dumpTask, keepsFrozen } from './dump-task.ts';
import {
  type CheckpointFacts,
  type CheckpointStep,
  deadlineMillis,
  fail,
  hasFinalizer,
  isAccepted,
  isFinishedCheckpoint,
  isFreezeEnded,
  isOwner,
  isTransferred,
  maybeFrozen,
} from './facts.ts';
import { holderStep } from '../cluster/steps.ts';
import { decideRunning } from './running.ts';
import { startTransfer } from './transfer.ts';
import {
  ABSENCE_GRACE_MILLIS,
  firstObjection,
  NODE_CHECKS,
  SOURCE_CHECKS,
  wantedContainers,
} from './source-checks.ts';

const POLL_MILLIS = 2_000;

export function decideCheckpoint(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, dump } = facts;
  if (checkpoint.metadata.deletionTimestamp !== undefined) {
    return decideDeletion(facts);
  }
  if (!hasFinalizer(checkpoint)) {
    return { do: 'add-finalizer' };
  }
  if (isFinishedCheckpoint(checkpoint)) {
    return decideAfterwards(facts);
  }
  if (isConditionTrue(checkpoint.status?.conditions, 'Stored')) {
    return decideRelease(facts);
  }
  if (dump !== undefined && isOwner(checkpoint, dump)) {
    return decideRunning(facts, dump);
  }
  return decideBefore(facts);
}

/** No Dump task of ours exists: either there never was one, or it vanished. */
function decideBefore(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, nowMillis } = facts;
  if (checkpoint.status?.progress !== undefined) {
    const step = fail('TaskLost', 'the NodeTask does not exist any more');
    return { ...step, maybeFrozen: keepsFrozen(checkpoint) };
  }
  if (checkpoint.spec.cancel === true) {
    return fail('Canceled', 'cancelled before anything was done');
  }
  if (nowMillis > deadlineMillis(checkpoint)) {
    const ready = checkpoint.status?.conditions?.find(({ type }) => type === 'Ready');
    return fail('TimedOut', `not done in time; last: ${ready?.message ?? 'nothing'}`);
  }
  return (
    firstObjection(SOURCE_CHECKS, facts) ??
    storeObjection(facts) ??
    acceptance(facts) ??
    queueing(facts) ??
    firstObjection(NODE_CHECKS, facts) ??
    claimObjection(facts) ??
    start(facts)
  );
}

function storeObjection({
  checkpoint,
  store,
  nowMillis,
}: CheckpointFacts): CheckpointStep | undefined {
  if (store !== undefined || isAccepted(checkpoint) || isTransferred(checkpoint)) {
    return undefined;
  }
  const name = checkpoint.spec.storeRef?.name;
  const facts =
    name === undefined
      ? 'no CheckpointStore of this namespace is the default'
      : `CheckpointStore "${name}" does not exist`;
  const age = nowMillis - Date.parse(checkpoint.metadata.creationTimestamp ?? '');
  return age < ABSENCE_GRACE_MILLIS
    ? { do: 'wait', reason: 'Pending', facts, againAfterMillis: POLL_MILLIS }
    : fail('StoreNotFound', facts);
}

function acceptance(facts: CheckpointFacts): CheckpointStep | undefined {
  const { checkpoint, pod, store } = facts;
  if (isAccepted(checkpoint) || pod === undefined) {
    return undefined;
  }
  const { claimName } = store?.spec.persistentVolumeClaim ?? {};
  return {
    do: 'accept',
    pod,
    template: podTemplate(pod),
    ...(store && claimName && { store: { name: store.metadata.name, claimName } }),
    containers: wantedContainers(facts).map((name) => ({
      name,
      imageID: statusOfContainer(pod, name)?.imageID ?? '',
    })),
  };
}

/** One task at a time works on a pod; of waiting Checkpoints the oldest comes first. */
function queueing(facts: CheckpointFacts): CheckpointStep | undefined {
  const { checkpoint, dump, thaw, rivals } = facts;
  const busy = dump ?? (thaw !== undefined && !isFinished(thaw) ? thaw : undefined);
  const keeper = rivals.find(maybeFrozen);
  const before = keeper ?? rivals.find((rival) => comesBefore(rival, checkpoint));
  if (busy === undefined && before === undefined) {
    return undefined;
  }
  const whom = busy?.spec.owner.name ?? before?.metadata.name ?? '';
  const what = keeper === undefined ? 'works on this pod' : 'keeps this pod frozen';
  return {
    do: 'wait',
    reason: 'Queued',
    facts: `Checkpoint ${whom} ${what}`,
    againAfterMillis: POLL_MILLIS,
  };
}

function comesBefore(a: CheckpointFacts['checkpoint'], b: CheckpointFacts['checkpoint']): boolean {
  const order = (c: CheckpointFacts['checkpoint']): string =>
    `${c.metadata.creationTimestamp ?? ''} ${c.metadata.uid ?? ''}`;
  return order(a) < order(b);
}

function claimObjection({ claim }: CheckpointFacts): CheckpointStep | undefined {
  const verdict = claim && judgeClaim(claim);
  if (verdict === undefined || verdict.usable) {
    return undefined;
  }
  const { reason, facts } = verdict;
  return reason === 'ClaimNotBound'
    ? { do: 'wait', reason, facts, againAfterMillis: POLL_MILLIS }
    : fail(reason as FailureReason, facts);
}

function start(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, pod, claim, nowMillis } = facts;
  const agent = agentOn(facts.agents, pod?.spec.nodeName ?? '');
  const transferred = isTransferred(checkpoint);
  if (pod === undefined || agent === undefined || (claim?.claim === undefined && !transferred)) {
    return { do: 'nothing', againAfterMillis: POLL_MILLIS };
  }
  const containers = wantedContainers(facts);
  const limit = limitOfFreeze(facts, pod, containers);
  if ('refused' in limit) {
    return limit.refused === 'ProbeFailing'
      ? { do: 'wait', reason: limit.refused, facts: limit.message, againAfterMillis: POLL_MILLIS }
      : fail(limit.refused, limit.message);
  }
  const request = { checkpoint, pod, containers, freezeLimitMillis: limit.millis };
  if (transferred || claim?.claim === undefined) {
    return startTransfer(facts, request);
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
  return (
    suspended(checkpoint) ?? {
      do: 'create-task',
      task: dumpTask({ ...request, holder: need.holder }),
    }
  );
}

function suspended({ spec }: Checkpoint): CheckpointStep | undefined {
  return spec.suspend === true
    ? {
        do: 'wait',
        reason: 'Prepared',
        facts: 'everything is prepared',
        againAfterMillis: POLL_MILLIS,
      }
    : undefined;
}

function limitOfFreeze(
  { checkpoint, probeEvents, nowMillis }: CheckpointFacts,
  pod: Pod,
  containers: readonly string[],
): ReturnType<typeof freezeLimit> {
  return freezeLimit({
    probes: watchingProbes(pod, containers, probeEvents, nowMillis),
    maxFreezeSeconds: checkpoint.spec.limits?.maxFreezeSeconds,
    keepFrozen: keepsFrozen(checkpoint)
      ? {
          untilStoredMillis: Math.max(1, deadlineMillis(checkpoint) - nowMillis),
          // A Migration ends the freeze in time, one way or the other.
          forGood: checkpoint.spec.afterDump === 'Stop' && !isFreezeEnded(checkpoint),
        }
      : undefined,
  });
}
