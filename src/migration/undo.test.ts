// Why a Migration is undone, and in which order: first the target is known never to run, then the source goes on.
import { describe } from 'node:test';
import type { Migration } from '../../crds/migration.ts';
import { node, NOW, pod, time } from '../testing/builders.ts';
import {
  acceptedMigration,
  condition,
  itsCheckpoint,
  itsNewPod,
  itsRestore,
  migrationFacts,
} from '../testing/migration-facts.ts';
import { checkSteps, type StepCase } from '../testing/step-table.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';

function check(base: Partial<MigrationFacts>, cases: readonly StepCase<MigrationFacts>[]): void {
  checkSteps((changes) => decideMigration(migrationFacts({ ...base, ...changes })), cases);
}

const storing = itsCheckpoint([condition('Ready', 'False', 'Storing')]);
const kept = condition('SourceFrozen', 'True', 'KeptFrozen');
const stored = itsCheckpoint([condition('Ready'), kept]);

describe('a Migration is given up', () => {
  const failed = (reason: string) => [condition('Failed', 'True', reason)];
  const accepted = acceptedMigration();
  const withSpec = (spec: Partial<Migration['spec']>, status = accepted.status): Migration => ({
    ...accepted,
    spec: { ...accepted.spec, ...spec },
    ...(status && { status }),
  });
  const timing = { startTime: time(-60), frozenAt: time(-30) };
  const frozen = acceptedMigration({ timing });
  const tolerant = {
    ...stored,
    status: { ...stored.status, timing: { freezeLimitMillis: 33_999 } },
  };
  const stranger = { ...storing, metadata: { name: 'away' } };
  check({ migration: accepted, checkpoint: storing, restore: itsRestore([condition('Placed')]) }, [
    {
      what: 'its Checkpoint fails',
      facts: { checkpoint: itsCheckpoint(failed('StoreFull')) },
      step: 'give-up StoreFull',
      says: /the source: as before/,
    },
    {
      what: 'its Checkpoint is gone',
      facts: { checkpoint: undefined },
      step: 'give-up CheckpointNotFound',
    },
    {
      what: "somebody else's Checkpoint has its name",
      facts: { checkpoint: stranger },
      step: 'give-up NameTaken',
    },
    {
      what: 'its Restore fails',
      facts: { restore: itsRestore(failed('AgentLost')) },
      step: 'give-up AgentLost',
    },
    { what: 'its Restore is gone', facts: { restore: undefined }, step: 'give-up TargetLost' },
    {
      what: 'cancelled',
      facts: { migration: withSpec({ cancel: true }) },
      step: 'give-up Canceled',
    },
    {
      what: 'deleted',
      facts: {
        migration: { ...accepted, metadata: { ...accepted.metadata, deletionTimestamp: time(0) } },
      },
      step: 'give-up Canceled',
    },
    {
      what: 'not done in time',
      facts: { nowMillis: NOW + 600_000 },
      step: 'give-up TimedOut',
      says: /completionTimeoutSeconds/,
    },
    {
      what: 'it stands still for longer than allowed',
      facts: { migration: withSpec({ limits: { maxDowntimeSeconds: 30 } }, frozen.status) },
      step: 'give-up DowntimeExceeded',
    },
    {
      what: 'it stands still for longer than its probes tolerate',
      facts: { migration: frozen, checkpoint: tolerant },
      step: 'give-up DowntimeExceeded',
    },
    {
      what: 'nothing of that',
      facts: { migration: withSpec({ limits: { maxDowntimeSeconds: 31 } }, frozen.status) },
      step: 'wait Storing',
    },
  ]);
});

describe('undoing a Migration', () => {
  const migration = acceptedMigration({ failure: { reason: 'Canceled', message: 'no more' } });
  const cancel = { cancel: true };
  const never = itsRestore([condition('Failed'), condition('ProcessesRestored', 'False')]);
  const unknown = itsRestore([condition('Failed'), condition('ProcessesRestored', 'Unknown')]);
  const running = itsRestore([condition('ProcessesRestored')]);
  const going = itsNewPod({ deletionTimestamp: time(0) });
  const resumed = itsCheckpoint([condition('Ready'), condition('SourceFrozen', 'False')]);
  const failed = itsCheckpoint([condition('Failed'), condition('SourceFrozen', 'Unknown')]);
  const deleting = itsCheckpoint([condition('Ready', 'False')], {}, { deletionTimestamp: time(0) });
  check({ migration, checkpoint: stored, restore: never, newPod: itsNewPod() }, [
    { what: 'the Restore is at work', facts: { restore: itsRestore([]) }, step: 'cancel-restore' },
    {
      what: 'the Restore is told',
      facts: { restore: itsRestore([], cancel) },
      step: 'wait EndingTarget',
    },
    { what: 'the processes run there', facts: { restore: running }, step: 'end-target' },
    { what: 'the processes may run there', facts: { restore: unknown }, step: 'end-target' },
    {
      what: 'the new pod is going',
      facts: { restore: unknown, newPod: going },
      step: 'wait EndingTarget',
    },
    {
      what: 'its node does not answer',
      facts: { restore: unknown, newPod: going, newNode: node('node-b', false) },
      step: 'wait TargetUnknown',
    },
    {
      what: 'the new pod has ended',
      facts: { restore: unknown, newPod: itsNewPod({}, 'Failed') },
      step: 'resume-source',
    },
    {
      what: 'the new pod is gone',
      facts: { restore: unknown, newPod: undefined },
      step: 'resume-source',
    },
    {
      what: 'the Restore is gone, its pod is not',
      facts: {
        migration: acceptedMigration({
          failure: { reason: 'Canceled', message: '' },
          target: { podName: 'redis-ab12c', podUID: 'pod-2' },
        }),
        restore: undefined,
      },
      step: 'end-target',
    },
    {
      what: 'the processes never ran there: no need to wait for the pod',
      facts: { newPod: going },
      step: 'resume-source',
    },
    {
      what: 'somebody has deleted the source meanwhile: the new pod stays',
      facts: { restore: running, pod: undefined },
      step: 'fail Canceled',
      says: /stays/,
    },
    {
      what: 'the source is being saved, and the Restore is waiting',
      facts: { checkpoint: storing, restore: itsRestore([]) },
      step: 'cancel-checkpoint',
    },
    {
      what: 'the source is being saved',
      facts: { checkpoint: storing },
      step: 'cancel-checkpoint',
    },
    {
      what: 'the saving is told to stop',
      facts: { checkpoint: itsCheckpoint([], cancel) },
      step: 'wait ResumingSource',
    },
    {
      what: 'the Checkpoint is being deleted and asks',
      facts: { checkpoint: deleting },
      step: 'resume-source',
    },
    {
      what: 'a failed Checkpoint thaws',
      facts: { checkpoint: failed },
      step: 'wait ResumingSource',
    },
    { what: 'the source runs', facts: { checkpoint: resumed }, step: 'fail Canceled' },
    { what: 'nothing was made', facts: { checkpoint: undefined }, step: 'fail Canceled' },
  ]);
});

describe('a Migration that is over', () => {
  const moved = acceptedMigration({ conditions: [condition('Ready')] });
  const failed = acceptedMigration({ conditions: [condition('Failed')] });
  const retained: Migration = { ...moved, spec: { ...moved.spec, checkpointPolicy: 'Retain' } };
  check({ migration: moved, checkpoint: stored }, [
    { what: 'moved', facts: { pod: undefined }, step: 'delete-checkpoint' },
    {
      what: 'moved, and the Checkpoint is to stay',
      facts: { migration: retained },
      step: 'nothing',
    },
    { what: 'undone', facts: { migration: failed }, step: 'delete-checkpoint' },
    {
      what: 'undone, and the bundle is all that is left',
      facts: { migration: failed, pod: undefined },
      step: 'nothing',
    },
    {
      what: 'deleted',
      facts: {
        migration: { ...moved, metadata: { ...moved.metadata, deletionTimestamp: time(0) } },
      },
      step: 'remove-finalizer',
    },
    {
      what: 'the Checkpoint of somebody else',
      facts: { checkpoint: { ...stored, metadata: pod().metadata } },
      step: 'nothing',
    },
  ]);
});
