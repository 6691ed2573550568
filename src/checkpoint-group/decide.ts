// What to do next for a CheckpointGroup (pure). All pods are stopped before any goes on, so there is a moment at which
// none of them runs, and each is saved as it was then. Until that barrier is passed everything can be undone.
import type { FailureReason } from '../../crds/conditions.ts';
import { MAX_MEMBERS } from '../../crds/checkpoint-group.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { isFinishedCheckpoint, maybeFrozen } from '../checkpoint/facts.ts';
import { isStored, readyReason } from './barrier.ts';
import {
  type Failure,
  type GroupFacts,
  type GroupStep,
  hasFinalizer,
  isAccepted,
  isFinishedGroup,
  ownCheckpoints,
  wait,
} from './facts.ts';
import { reasonToGiveUp } from './give-up.ts';
import { madeCheckpoint, memberOf } from './members.ts';

/** Things applied together with the group may come a little later. */
const ABSENCE_GRACE_MILLIS = 10_000;
const POLL_MILLIS = 200;

export function decideGroup(facts: GroupFacts): GroupStep {
  const { group } = facts;
  const deleting = group.metadata.deletionTimestamp !== undefined;
  if (!hasFinalizer(group)) {
    return deleting ? { do: 'nothing' } : { do: 'add-finalizer' };
  }
  if (isFinishedGroup(group) || !isAccepted(group)) {
    if (deleting) {
      return { do: 'remove-finalizer' };
    }
    return isFinishedGroup(group) ? { do: 'nothing' } : decideAcceptance(facts);
  }
  const { failure, conditions } = group.status ?? {};
  if (failure !== undefined) {
    return undo(facts, { reason: failure.reason as FailureReason, facts: failure.message });
  }
  if (isConditionTrue(conditions, 'Stored')) {
    return letGo(facts) ?? { do: 'finish' };
  }
  const reason = reasonToGiveUp(facts);
  return reason === undefined ? forward(facts) : { do: 'give-up', ...reason };
}

function decideAcceptance({ group, pods, nowMillis }: GroupFacts): GroupStep {
  if (group.spec.cancel === true) {
    return { do: 'fail', reason: 'Canceled', facts: 'cancelled before anything was done' };
  }
  if (pods.length === 0) {
    const facts = 'spec.selector: no running pod matches';
    const age = nowMillis - Date.parse(group.metadata.creationTimestamp ?? '');
    return age < ABSENCE_GRACE_MILLIS
      ? wait('Pending', facts)
      : { do: 'fail', reason: 'NoPodSelected', facts };
  }
  if (pods.length > MAX_MEMBERS) {
    const facts = `spec.selector: ${pods.length} pods match, ${MAX_MEMBERS} at most can be stopped together`;
    return { do: 'fail', reason: 'TooManyPods', facts };
  }
  const members = pods
    .map((pod) => memberOf(group, pod))
    .toSorted((a, b) => a.podName.localeCompare(b.podName));
  return { do: 'accept', members };
}

function forward(facts: GroupFacts): GroupStep {
  const { group } = facts;
  const own = ownCheckpoints(facts);
  const { members = [], conditions } = group.status ?? {};
  const missing = members.filter(
    ({ checkpointName }) => !own.some(({ metadata }) => metadata.name === checkpointName),
  );
  if (missing.length > 0) {
    return { do: 'create-members', checkpoints: missing.map((one) => madeCheckpoint(group, one)) };
  }
  const held = own.filter(({ spec }) => spec.suspend === true);
  const unprepared = held.find((one) => readyReason(one) !== 'Prepared');
  // Once one was told to start, the others follow whatever they say meanwhile: those that cannot, fail.
  if (unprepared !== undefined && findCondition(conditions, 'Prepared')?.status !== 'True') {
    return wait('PreparingMembers', saying(unprepared));
  }
  if (held.length > 0) {
    return { do: 'start-members', checkpoints: held };
  }
  const unstored = own.find((one) => !isStored(one));
  return unstored === undefined
    ? { do: 'pass-barrier' }
    : wait('FreezingMembers', saying(unstored), POLL_MILLIS);
}

function saying(checkpoint: Parameters<typeof readyReason>[0]): string {
  const { metadata, status } = checkpoint;
  const message = findCondition(status?.conditions, 'Ready')?.message ?? 'not looked at yet';
  return `Checkpoint ${metadata.name}: ${message}`;
}

/** Undefined once all pods go on. */
function letGo(facts: GroupFacts): GroupStep | undefined {
  const own = ownCheckpoints(facts).filter(maybeFrozen);
  const kept = own.filter(
    ({ spec, metadata }) => spec.afterDump === 'Stop' && metadata.deletionTimestamp === undefined,
  );
  if (kept.length > 0) {
    return { do: 'resume-members', checkpoints: kept };
  }
  const [waited] = own;
  return waited && wait('ReleasingMembers', saying(waited), POLL_MILLIS);
}

/** None stays stopped, and nothing stays that only looks like a group. */
function undo(facts: GroupFacts, failure: Failure): GroupStep {
  const own = ownCheckpoints(facts);
  const alive = own.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const atWork = alive.filter((one) => !isFinishedCheckpoint(one));
  const uncancelled = atWork.filter(({ spec }) => spec.cancel !== true);
  if (uncancelled.length > 0) {
    return { do: 'cancel-members', checkpoints: uncancelled };
  }
  const frozen = letGo(facts);
  if (frozen !== undefined) {
    return frozen;
  }
  const [unfinished] = atWork;
  if (unfinished !== undefined) {
    return wait('ReleasingMembers', saying(unfinished), POLL_MILLIS);
  }
  const stored = alive.filter(isStored);
  return stored.length > 0
    ? { do: 'delete-members', checkpoints: stored }
    : { do: 'fail', ...failure };
}
