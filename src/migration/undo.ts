// Undoing a Migration (pure). The order is what keeps source and target from both running: first the target is known
// not to run and never to run, then the source goes on.
import { findCondition } from '../../kube/conditions.ts';
import { isFinishedCheckpoint, maybeFrozen } from '../checkpoint/facts.ts';
import { isNodeReady } from '../cluster/types.ts';
import { isFinishedRestore, isRestored } from '../restore/facts.ts';
import {
  type Failure,
  hasEnded,
  type MigrationFacts,
  type MigrationStep,
  ownCheckpoint,
  ownRestore,
  sourcePod,
  targetPod,
  wait,
} from './facts.ts';

const POLL_MILLIS = 200;

export function decideUndo(facts: MigrationFacts, failure: Failure): MigrationStep {
  return (
    stopSaving(facts) ??
    stopRestore(facts) ??
    endTarget(facts, failure) ??
    resumeSource(facts, failure)
  );
}

/** Safe at any time: what fails is never restored, and what succeeds nevertheless stays frozen until told otherwise. */
function stopSaving(facts: MigrationFacts): MigrationStep | undefined {
  const checkpoint = ownCheckpoint(facts);
  const isAtWork =
    checkpoint !== undefined &&
    !isFinishedCheckpoint(checkpoint) &&
    checkpoint.metadata.deletionTimestamp === undefined;
  return isAtWork && checkpoint.spec.cancel !== true
    ? { do: 'cancel-checkpoint', checkpoint }
    : undefined;
}

/** Until the Restore says by itself that it is over, or that its processes run. */
function stopRestore(facts: MigrationFacts): MigrationStep | undefined {
  const restore = ownRestore(facts);
  if (restore === undefined || isFinishedRestore(restore) || isRestored(restore)) {
    return undefined;
  }
  const told = restore.spec.cancel === true || restore.metadata.deletionTimestamp !== undefined;
  return told
    ? wait('EndingTarget', 'waiting for the agent to leave the new pod alone', POLL_MILLIS)
    : { do: 'cancel-restore', restore };
}

function endTarget(facts: MigrationFacts, failure: Failure): MigrationStep | undefined {
  const pod = targetPod(facts);
  if (pod === undefined || !mayRun(facts)) {
    return undefined;
  }
  const { name, deletionTimestamp } = pod.metadata;
  const source = sourcePod(facts);
  if (source === undefined || source.metadata.deletionTimestamp !== undefined) {
    // Somebody has deleted the source meanwhile: what runs there is all that is left.
    return { do: 'fail', ...failure, facts: `${failure.facts}; the source is gone, ${name} stays` };
  }
  if (deletionTimestamp === undefined) {
    return { do: 'end-target', pod };
  }
  const { newNode } = facts;
  return newNode !== undefined && isNodeReady(newNode)
    ? wait('EndingTarget', `waiting for pod ${name} to end`, POLL_MILLIS)
    : wait('TargetUnknown', `pod ${name} is on a node that does not answer`);
}

/**
 * A Restore that has failed knows whether its agent had begun what cannot be called back (`status.committed`). If it
 * had, or nobody knows, only the end of the pod is an answer.
 */
function mayRun(facts: MigrationFacts): boolean {
  const { conditions } = ownRestore(facts)?.status ?? {};
  const pod = targetPod(facts);
  const never = findCondition(conditions, 'ProcessesRestored')?.status === 'False';
  return pod !== undefined && !hasEnded(pod) && !never;
}

function resumeSource(facts: MigrationFacts, failure: Failure): MigrationStep {
  const checkpoint = ownCheckpoint(facts);
  if (checkpoint === undefined) {
    return { do: 'fail', ...failure };
  }
  const deleting = checkpoint.metadata.deletionTimestamp !== undefined;
  if (!isFinishedCheckpoint(checkpoint) && !deleting) {
    return wait('ResumingSource', 'waiting for the agent to stop saving', POLL_MILLIS);
  }
  if (!maybeFrozen(checkpoint) && !deleting) {
    return { do: 'fail', ...failure };
  }
  // One that is being deleted asks us what is to become of the source, and then vanishes.
  return checkpoint.spec.afterDump === 'Stop' && !failedByItself(facts)
    ? { do: 'resume-source', checkpoint }
    : wait('ResumingSource', 'waiting for the agent to let the source go on', POLL_MILLIS);
}

/** A Checkpoint that has failed lets the source go without being asked. */
function failedByItself(facts: MigrationFacts): boolean {
  const { conditions } = ownCheckpoint(facts)?.status ?? {};
  return findCondition(conditions, 'Failed')?.status === 'True';
}
