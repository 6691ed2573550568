// What to do next for a Migration (pure). Three stretches: forward, where everything can be undone; undoing; releasing
// the source, which begins when the new pod is ready. The stretch is written into the status before it is entered.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { type FailureReason, REASONS, type WaitingReason } from '../../crds/conditions.ts';
import { MIGRATION_DEFAULTS } from '../../crds/migration.ts';
import type { Restore } from '../../crds/restore.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { isRestored } from '../restore/facts.ts';
import { firstObjection } from './checks.ts';
import {
  deadlineMillis,
  hasFinalizer,
  isAccepted,
  isFinishedMigration,
  type MigrationFacts,
  type MigrationStep,
  ownCheckpoint,
  ownRestore,
  sourcePod,
  wait,
} from './facts.ts';
import { millisOfDowntimeLeft, reasonToGiveUp } from './give-up.ts';
import { madeCheckpoint, madeRestore, newPodName } from './made-objects.ts';
import { decideRelease, isReleasing } from './release.ts';
import { decideReplacement, isAwaited, isReplaced, targetIsNotReady } from './replaced.ts';
import { decideUndo } from './undo.ts';

const POLL_MILLIS = 2_000;

export function decideMigration(facts: MigrationFacts): MigrationStep {
  const { migration } = facts;
  const deleting = migration.metadata.deletionTimestamp !== undefined;
  if (!hasFinalizer(migration)) {
    return deleting ? { do: 'nothing' } : { do: 'add-finalizer' };
  }
  const settled = isFinishedMigration(migration) || !isAccepted(migration);
  if (deleting && settled) {
    return { do: 'remove-finalizer' };
  }
  if (isFinishedMigration(migration)) {
    return decideAfterwards(facts);
  }
  if (!isAccepted(migration)) {
    return decideAcceptance(facts);
  }
  const { failure } = migration.status ?? {};
  if (failure !== undefined) {
    return decideUndo(facts, {
      reason: failure.reason as FailureReason,
      facts: failure.message,
    });
  }
  if (isReleasing(migration)) {
    return isReplaced(migration) ? decideReplacement(facts) : decideRelease(facts);
  }
  const reason = reasonToGiveUp(facts);
  return reason === undefined ? decideForward(facts) : { do: 'give-up', ...reason };
}

function decideAcceptance(facts: MigrationFacts): MigrationStep {
  const { migration, pod, nowMillis } = facts;
  if (migration.spec.cancel === true) {
    return { do: 'fail', reason: 'Canceled', facts: 'cancelled before anything was done' };
  }
  if (nowMillis > deadlineMillis(migration)) {
    const last = findCondition(migration.status?.conditions, 'Ready')?.message ?? 'nothing';
    return { do: 'fail', reason: 'TimedOut', facts: `not done in time; last: ${last}` };
  }
  const objection = firstObjection(facts);
  if (objection !== undefined) {
    return 'do' in objection ? objection : { do: 'fail', ...objection };
  }
  const owner = pod?.metadata.ownerReferences?.find(({ controller }) => controller === true);
  return pod === undefined
    ? wait('Pending', 'the pod does not exist')
    : {
        do: 'accept',
        source: {
          podUID: pod.metadata.uid ?? '',
          node: pod.spec.nodeName ?? '',
          ...(owner && { ownerKind: owner.kind, ownerName: owner.name }),
        },
        podName: newPodName(migration, pod),
      };
}

function decideForward(facts: MigrationFacts): MigrationStep {
  const { migration, sourceNode } = facts;
  const [source, checkpoint, restore] = [sourcePod(facts), ownCheckpoint(facts), ownRestore(facts)];
  if (checkpoint === undefined || restore === undefined) {
    return source === undefined
      ? { do: 'give-up', reason: 'PodDeleted', facts: 'the pod was deleted' }
      : checkpoint === undefined
        ? { do: 'create-checkpoint', checkpoint: madeCheckpoint(migration, source) }
        : { do: 'create-restore', restore: madeRestore(migration, source, sourceNode) };
  }
  if (checkpoint.spec.suspend === true) {
    return decidePrepared(facts, checkpoint, restore);
  }
  return decideMoving(facts, checkpoint, restore);
}

/** Nothing is frozen before the new pod waits for the processes and both nodes can reach the volume. */
function decidePrepared(
  facts: MigrationFacts,
  checkpoint: Checkpoint,
  restore: Restore,
): MigrationStep {
  const source = readyOf(checkpoint);
  if (source.reason !== 'Prepared') {
    return wait('StartingTarget', `the source: ${source.message}`);
  }
  if (isReplaced(facts.migration)) {
    return targetIsNotReady(facts) ?? { do: 'start-dump', checkpoint };
  }
  return isConditionTrue(restore.status?.conditions, 'Placed')
    ? { do: 'start-dump', checkpoint }
    : wait('StartingTarget', `the new pod: ${readyOf(restore).message}`);
}

function decideMoving(
  facts: MigrationFacts,
  checkpoint: Checkpoint,
  restore: Restore,
): MigrationStep {
  const soonMillis = Math.max(50, Math.min(POLL_MILLIS, millisOfDowntimeLeft(facts)));
  if (!isConditionTrue(checkpoint.status?.conditions, 'Ready')) {
    const { reason, message } = readyOf(checkpoint);
    return wait(progressReason(reason), message, soonMillis);
  }
  // Of a source that somebody else has ended the next replica is awaited without us.
  if (isReplaced(facts.migration)) {
    return isAwaited(facts) || sourcePod(facts) === undefined
      ? { do: 'begin-release' }
      : wait('ReleasingSource', readyOf(restore).message, Math.min(100, soonMillis));
  }
  if (!isRestored(restore)) {
    return wait('Restoring', readyOf(restore).message, soonMillis);
  }
  return isConditionTrue(restore.status?.conditions, 'Ready')
    ? { do: 'begin-release' }
    : wait('WaitingForPodReady', 'the processes run; the new pod is not ready yet', soonMillis);
}

/** Its Checkpoint goes, unless it is to be kept, or is all that is left of the application. */
function decideAfterwards(facts: MigrationFacts): MigrationStep {
  const { migration } = facts;
  const checkpoint = ownCheckpoint(facts);
  const policy = migration.spec.checkpointPolicy ?? MIGRATION_DEFAULTS.checkpointPolicy;
  const moved = isConditionTrue(migration.status?.conditions, 'Ready');
  const deletable =
    checkpoint?.metadata.deletionTimestamp === undefined &&
    (moved || sourcePod(facts) !== undefined);
  return checkpoint !== undefined && policy === 'Delete' && deletable
    ? { do: 'delete-checkpoint', checkpoint }
    : { do: 'nothing' };
}

function readyOf({ status }: Checkpoint | Restore): { reason: string; message: string } {
  const { reason = 'Pending', message = 'not looked at yet' } =
    findCondition(status?.conditions, 'Ready') ?? {};
  return { reason, message };
}

/** What the Checkpoint says of itself, as far as it is about something that goes on. */
function progressReason(reason: string): WaitingReason {
  const known = Object.entries(REASONS).find(([name]) => name === reason);
  const goesOn = known?.[1].class === 'progress' || known?.[1].class === 'waiting';
  // It has been told to go on just now.
  return goesOn && reason !== 'Prepared' ? (reason as WaitingReason) : 'Dumping';
}
