// What to do next for a Restore (pure): ordered questions, the first that applies decides.
import { LABELS, RESTORED_POD_CONDITION } from '../../crds/names.ts';
import type { Pod } from '../cluster/pod.ts';
import { hasCondition, isPodReady } from '../cluster/pod.ts';
import { isFinished, taskHealth } from '../node-task/task.ts';
import { decideAdoption, isAdopting, isPartlyArmed, replicaToTake } from './adopt.ts';
import {
  attemptsOf,
  deadlineMillis,
  fail,
  hasFinalizer,
  isFinishedRestore,
  isOfThisAttempt,
  isOurs,
  isRestored,
  notVerified,
  ownPod,
  type RestoreFacts,
  type RestoreStep,
  wait,
} from './facts.ts';
import { decideInPlace, decideRewound, rewoundPod } from './in-place.ts';
import { decidePlaced } from './placed.ts';
import { decideRunning } from './running.ts';
import { CHECKPOINT_CHECKS, firstObjection, TARGET_CHECKS } from './target-checks.ts';
import { withPlaceholder } from './wanted-placeholder.ts';

/** From the request for deletion, for the agent to stop. */
const STOP_MILLIS = 60_000;

export function decideRestore(facts: RestoreFacts): RestoreStep {
  const { restore, task } = facts;
  if (restore.metadata.deletionTimestamp !== undefined) {
    return decideDeletion(facts);
  }
  if (!hasFinalizer(restore)) {
    return { do: 'add-finalizer' };
  }
  if (isFinishedRestore(restore)) {
    return decideAfterwards(facts);
  }
  if (isRestored(restore)) {
    return rewoundPod(restore) === undefined ? decideRestored(facts) : decideRewound(facts);
  }
  const taken = replicaToTake(facts);
  if (taken !== undefined) {
    return taken;
  }
  const spent = spentAttempt(facts);
  if (spent !== undefined) {
    return spent;
  }
  return task === undefined ? decideBefore(facts) : decideRunning(facts, task);
}

/** What an earlier attempt left behind. */
function spentAttempt(facts: RestoreFacts): RestoreStep | undefined {
  const { restore, pod, task } = facts;
  if (pod === undefined || !isOurs(restore, pod)) {
    return undefined;
  }
  if (isOfThisAttempt(restore, pod)) {
    return undefined;
  }
  if (task !== undefined) {
    return { do: 'delete-task', task };
  }
  // Its controller makes the next one as soon as it is gone.
  if (isAdopting(restore) && restore.status?.adoption?.inForce !== true) {
    return decideAdoption(facts);
  }
  return pod.metadata.deletionTimestamp === undefined
    ? { do: 'delete-placeholder', pod }
    : wait('Retrying', `pod ${pod.metadata.name} of the last attempt is ending`, 500);
}

/** No task exists yet. */
function decideBefore(facts: RestoreFacts): RestoreStep {
  const { pod } = facts;
  return (
    hopeless(facts) ??
    firstObjection(CHECKPOINT_CHECKS, facts) ??
    (rewoundPod(facts.restore) && decideInPlace(facts)) ??
    firstObjection(TARGET_CHECKS, facts) ??
    (pod === undefined
      ? isAdopting(facts.restore)
        ? decideAdoption(facts)
        : place(facts)
      : decidePlaced(facts, pod))
  );
}

function hopeless({ restore, pod, nowMillis }: RestoreFacts): RestoreStep | undefined {
  if (restore.spec.cancel === true) {
    return fail('Canceled', 'cancelled before any process was rebuilt');
  }
  const { pod: known, progress, conditions } = restore.status ?? {};
  if (known?.uid !== undefined && known.uid !== pod?.metadata.uid) {
    return fail('PodGone', `pod ${known.name} vanished before it was restored`);
  }
  if (progress !== undefined) {
    return fail('TaskLost', 'the NodeTask does not exist any more');
  }
  const last = conditions?.find(({ type }) => type === 'Ready')?.message ?? 'nothing';
  return nowMillis > deadlineMillis(restore)
    ? fail('TimedOut', `not done in time; last: ${last}`)
    : undefined;
}

function place(facts: RestoreFacts): RestoreStep {
  return withPlaceholder(facts, (pod) => {
    const attempt = String(attemptsOf(facts.restore));
    const labels = { ...pod.metadata.labels, [LABELS.attempt]: attempt };
    return { do: 'create-placeholder', pod: { ...pod, metadata: { ...pod.metadata, labels } } };
  });
}

/** The processes run; the pod has to become ready. */
function decideRestored(facts: RestoreFacts): RestoreStep {
  const { restore, nowMillis } = facts;
  const pod = ownPod(facts);
  const name = restore.status?.pod?.name ?? '';
  if (pod === undefined) {
    return fail('PodGone', `pod ${name} vanished after its processes were restored`);
  }
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
    return fail('PodNotReady', `the restored application ended: ${endOf(pod)}`);
  }
  const refuted = notVerified(restore, `pod ${name} is left as it is, not ready`);
  if (refuted !== undefined) {
    return refuted;
  }
  if (!hasCondition(pod, RESTORED_POD_CONDITION)) {
    return { do: 'mark-restored', pod };
  }
  if (isPodReady(pod)) {
    return { do: 'finish', pod };
  }
  return nowMillis > deadlineMillis(restore)
    ? fail('PodNotReady', `pod ${name} did not become ready in time`)
    : wait('WaitingForPodReady', `waiting for pod ${name} to become ready`, 5_000);
}

function endOf(pod: Pod): string {
  const ended = pod.status?.containerStatuses?.find(({ state }) => state?.terminated);
  const { exitCode, reason } = ended?.state?.terminated ?? {};
  return ended === undefined
    ? `phase ${pod.status?.phase}`
    : `container ${ended.name} exited with ${exitCode} (${reason})`;
}

/** Ready or failed: an unfinished placeholder must not stay. */
function decideAfterwards(facts: RestoreFacts): RestoreStep {
  const { restore, task, receive } = facts;
  if (isPartlyArmed(restore)) {
    return { do: 'disarm-adoption' };
  }
  const pod = ownPod(facts);
  const unfinished = task !== undefined && !isFinished(task);
  if (unfinished && task.spec.cancel !== true) {
    return { do: 'cancel-task', task };
  }
  if (pod !== undefined && !isRestored(restore)) {
    return { do: 'delete-placeholder', pod };
  }
  if (task !== undefined && !unfinished) {
    return { do: 'delete-task', task };
  }
  // With it goes what it received; an agent that is still at it is stopped by that, too.
  return task === undefined && receive !== undefined
    ? { do: 'delete-task', task: receive }
    : { do: 'nothing' };
}

function decideDeletion(facts: RestoreFacts): RestoreStep {
  const { restore, task, nowMillis } = facts;
  if (!hasFinalizer(restore)) {
    return { do: 'nothing' };
  }
  const since = nowMillis - Date.parse(restore.metadata.deletionTimestamp ?? '');
  if (task !== undefined && taskHealth(task, nowMillis) === 'running' && since < STOP_MILLIS) {
    return task.spec.cancel === true
      ? wait('Deleting', 'waiting for the agent to stop the work')
      : { do: 'cancel-task', task };
  }
  if (isPartlyArmed(restore)) {
    return { do: 'disarm-adoption' };
  }
  const pod = ownPod(facts);
  return pod !== undefined && !isRestored(restore)
    ? { do: 'delete-placeholder', pod }
    : { do: 'remove-finalizer' };
}
