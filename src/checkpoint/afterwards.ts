// What is left to do once the bundle is stored or the Checkpoint has failed: the source, and finished tasks (pure).
import { isConditionTrue } from '../../kube/conditions.ts';
import { isFinished, retryable } from '../node-task/task.ts';
import { thawTask } from './dump-task.ts';
import {
  acceptedPod,
  type CheckpointFacts,
  type CheckpointStep,
  deadlineMillis,
  isOwner,
  maybeFrozen,
} from './facts.ts';

const POLL_MILLIS = 2_000;

/** Stored, with a source that is kept frozen and to be deleted. */
export function decideRelease(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, nowMillis } = facts;
  const pod = acceptedPod(facts);
  const ending = pod === undefined || pod.metadata.deletionTimestamp !== undefined;
  if (ending || checkpoint.spec.afterDump !== 'DeletePod') {
    return { do: 'finish' };
  }
  if (nowMillis > deadlineMillis(checkpoint)) {
    const why =
      'the bundle is stored, but the source pod could not be deleted in time; it is let go';
    return { do: 'fail', reason: 'TimedOut', facts: why, maybeFrozen: true };
  }
  return { do: 'delete-source', pod };
}

/** Ready or failed. */
export function decideAfterwards(facts: CheckpointFacts): CheckpointStep {
  const { checkpoint, dump, node } = facts;
  if (dump !== undefined && isOwner(checkpoint, dump)) {
    // Nobody will report a task that no agent took, or whose node is gone.
    const over = isFinished(dump) || dump.status?.acceptedBy === undefined || node === undefined;
    if (over) {
      return { do: 'delete-task', task: dump };
    }
    if (dump.spec.cancel !== true) {
      return { do: 'cancel-task', task: dump };
    }
  }
  if (maybeFrozen(checkpoint)) {
    return decideSource(facts) ?? { do: 'nothing', againAfterMillis: POLL_MILLIS };
  }
  const { thaw } = facts;
  return thaw !== undefined && isOwner(checkpoint, thaw) && isFinished(thaw)
    ? { do: 'delete-task', task: thaw }
    : { do: 'nothing' };
}

/** The source may be frozen by us. Undefined: leave it so for now. */
export function decideSource(facts: CheckpointFacts): CheckpointStep | undefined {
  const { checkpoint, thaw, node, nowMillis } = facts;
  const pod = acceptedPod(facts);
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || node === undefined) {
    const deleted = checkpoint.spec.afterDump === 'DeletePod';
    return { do: 'note-source', frozen: 'False', reason: deleted ? 'SourceDeleted' : 'SourceGone' };
  }
  if (thaw !== undefined && isOwner(checkpoint, thaw)) {
    if (thaw.status?.state === 'Succeeded') {
      const { report = [] } = thaw.status.result ?? {};
      return { do: 'note-source', frozen: 'False', reason: 'SourceRunning', report };
    }
    return retryable(thaw, nowMillis) ? { do: 'delete-task', task: thaw } : undefined;
  }
  if (mustRun(facts)) {
    return { do: 'create-task', task: thawTask(checkpoint, pod, nowMillis) };
  }
  return checkpoint.spec.afterDump === 'DeletePod' ? { do: 'delete-source', pod } : undefined;
}

/** While a Migration is at work only it knows whether the application runs elsewhere already. */
function mustRun({ checkpoint, migrating }: CheckpointFacts): boolean {
  const failed = isConditionTrue(checkpoint.status?.conditions, 'Failed');
  const deleting = checkpoint.metadata.deletionTimestamp !== undefined && !migrating;
  return failed || deleting || checkpoint.spec.afterDump === 'Resume';
}
