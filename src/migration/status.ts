// The status of a Migration after a step (pure). What its Checkpoint and Restore say is mirrored first.
import type { MigrationConditionType, WaitingReason } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/meta.ts';
import type { Migration, MigrationStatus } from '../../crds/migration.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { formatMillis, StatusBuilder } from '../cluster/status-builder.ts';
import { type MigrationFacts, type MigrationStep, ownCheckpoint, ownRestore } from './facts.ts';

type Builder = StatusBuilder<MigrationStatus, MigrationConditionType>;

/** Steps after which the status says the same as before. */
const QUIET_STEPS = [
  'nothing',
  'add-finalizer',
  'remove-finalizer',
  'delete-checkpoint',
] as const satisfies readonly MigrationStep['do'][];
type TellingStep = Exclude<MigrationStep, { readonly do: (typeof QUIET_STEPS)[number] }>;

/** Reasons of a Checkpoint that is being saved: its processes stand still, or will in a moment. */
const FREEZING_REASONS: readonly string[] = ['Freezing', 'Storing'];

export function migrationStatus(facts: MigrationFacts, step: MigrationStep): MigrationStatus {
  const { migration, nowMillis } = facts;
  if (!isTelling(step)) {
    return migration.status ?? {};
  }
  const next: Builder = new StatusBuilder(migration.metadata, migration.status ?? {}, nowMillis);
  mirror(next, facts);
  apply(next, migration, step);
  return next.build(next.status.timing?.startTime !== undefined);
}

function isTelling(step: MigrationStep): step is TellingStep {
  return !QUIET_STEPS.some((quiet) => quiet === step.do);
}

function mirror(next: Builder, facts: MigrationFacts): void {
  mirrorTarget(next, facts);
  mirrorSource(next, facts);
  mirrorTransfer(next, facts);
  mirrorDowntime(next, facts);
}

function mirrorTarget(next: Builder, facts: MigrationFacts): void {
  const { pod, conditions } = ownRestore(facts)?.status ?? {};
  if (pod?.uid !== undefined && next.status.target !== undefined) {
    const { uid: podUID, node } = pod;
    const { podName } = next.status.target;
    next.set({ target: { podName, podUID, ...(node !== undefined && { node }) } });
  }
  const restored = findCondition(conditions, 'ProcessesRestored');
  if (restored?.status === 'True') {
    next.condition('Restored', 'True', 'Restored');
  }
}

function mirrorSource(next: Builder, facts: MigrationFacts): void {
  const { conditions, timing } = ownCheckpoint(facts)?.status ?? {};
  switch (sourceState(next, conditions)) {
    case 'frozen': {
      // Until the agent has told the very moment, ours is close.
      const frozenAt = timing?.frozenAt ?? next.status.timing?.frozenAt ?? next.now;
      next.set({ timing: { ...next.status.timing, frozenAt } });
      return next.condition('SourceFrozen', 'True', 'Frozen');
    }
    case 'thawing':
      return next.condition('SourceFrozen', 'Unknown', 'Thawing');
    case 'running':
      return next.condition('SourceFrozen', 'False', 'SourceRunning');
    case 'gone':
      return next.condition('SourceFrozen', 'False', 'SourceGone');
    case 'untouched':
  }
}

type SourceState = 'untouched' | 'frozen' | 'thawing' | 'running' | 'gone';

function sourceState(next: Builder, conditions: readonly Condition[] | undefined): SourceState {
  const frozen = findCondition(conditions, 'SourceFrozen');
  switch (frozen?.status) {
    case 'True':
      return 'frozen';
    case 'Unknown':
      return 'thawing';
    case 'False':
      return frozen.reason === 'SourceRunning' ? 'running' : 'gone';
    case undefined:
  }
  if (FREEZING_REASONS.includes(findCondition(conditions, 'Ready')?.reason ?? '')) {
    return 'frozen';
  }
  const wasFrozen = findCondition(next.conditions, 'SourceFrozen') !== undefined;
  return wasFrozen && isConditionTrue(conditions, 'Failed') ? 'running' : 'untouched';
}

function mirrorTransfer(next: Builder, facts: MigrationFacts): void {
  const { conditions, bundle, timing, progress, rounds = [] } = ownCheckpoint(facts)?.status ?? {};
  if (progress === undefined) {
    next.drop('progress');
  } else {
    next.set({ progress });
  }
  if (rounds.length > 0) {
    next.set({ rounds });
  }
  if (bundle === undefined || !isConditionTrue(conditions, 'Stored')) {
    return;
  }
  const stored = findCondition(conditions, 'Stored')?.lastTransitionTime ?? '';
  const millis = Math.max(0, Date.parse(stored) - Date.parse(timing?.frozenAt ?? stored));
  const ahead = rounds.reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = Math.max(0, bundle.bytes - ahead);
  next.set({ rounds: [...rounds, { number: rounds.length + 1, bytes, dirtyBytes: 0, millis }] });
  next.condition('Synced', 'True', 'Synchronized');
}

function mirrorDowntime(next: Builder, facts: MigrationFacts): void {
  const restoredAt = ownRestore(facts)?.status?.timing?.restoredAt;
  const { frozenAt } = next.status.timing ?? {};
  if (restoredAt === undefined || frozenAt === undefined) {
    return;
  }
  // By two clocks: a difference between them must not make it negative.
  const downtimeMillis = Math.max(0, Date.parse(restoredAt) - Date.parse(frozenAt));
  next.set({
    timing: { ...next.status.timing, restoredAt },
    downtimeMillis,
    downtime: formatMillis(downtimeMillis),
  });
}

/** What Ready says after a step that has nothing special to tell. */
const READY_REASONS: Readonly<Partial<Record<MigrationStep['do'], WaitingReason>>> = {
  accept: 'StartingTarget',
  'create-checkpoint': 'StartingTarget',
  'create-restore': 'StartingTarget',
  'start-dump': 'Dumping',
  'begin-release': 'ReleasingSource',
  'rank-source': 'ReleasingSource',
  'hand-over': 'ReleasingSource',
  'uncount-source': 'ReleasingSource',
  'end-source': 'ReleasingSource',
  'cancel-restore': 'EndingTarget',
  'end-target': 'EndingTarget',
  'cancel-checkpoint': 'ResumingSource',
  'resume-source': 'ResumingSource',
};

/** What else they say. */
const NOTES: {
  readonly [Do in MigrationStep['do']]?: (
    next: Builder,
    step: Extract<MigrationStep, { readonly do: Do }>,
    migration: Migration,
  ) => void;
} = {
  accept: accepted,
  wait: (next, { reason, facts }) => next.condition('Ready', 'False', reason, facts),
  'create-checkpoint': (next, { checkpoint }) => {
    next.set({ checkpointName: checkpoint.metadata.name });
    next.condition('TargetReady', 'False', 'StartingTarget');
  },
  'create-restore': (next, { restore }) => next.set({ restoreName: restore.metadata.name }),
  'start-dump': (next) => next.condition('TargetReady', 'True', 'TargetPrepared'),
  'begin-release': (next) => next.condition('SourceReleased', 'False', 'ReleasingSource'),
  finish: finished,
  'give-up': (next, { reason, facts }) => {
    next.set({ failure: { reason, message: facts } });
    next.condition('Ready', 'False', 'EndingTarget', `undoing: ${facts}`);
  },
  fail: failed,
};

function apply(next: Builder, migration: Migration, step: TellingStep): void {
  const reason = READY_REASONS[step.do];
  if (reason !== undefined) {
    next.condition('Ready', 'False', reason);
  }
  const note = NOTES[step.do] as
    | ((next: Builder, step: MigrationStep, migration: Migration) => void)
    | undefined;
  note?.(next, step, migration);
}

function accepted(next: Builder, step: Extract<MigrationStep, { do: 'accept' }>): void {
  const { source, podName } = step;
  next.set({ source, target: { podName }, timing: { startTime: next.now } });
  next.condition('Accepted', 'True', 'Validated');
}

function finished(next: Builder, _step: MigrationStep, { spec }: Migration): void {
  next.set({ timing: { ...next.status.timing, completionTime: next.now } });
  const { target, downtime } = next.status;
  next.condition('SourceFrozen', 'False', 'SourceGone');
  next.condition('SourceReleased', 'True', 'SourceEnded');
  const facts = `${spec.podRef.name} goes on as pod ${target?.podName} on node ${target?.node}, it stood still for ${downtime ?? 'some time'}`;
  next.condition('Ready', 'True', 'Completed', facts);
}

function failed(next: Builder, step: Extract<MigrationStep, { do: 'fail' }>): void {
  next.set({
    timing: { ...next.status.timing, completionTime: next.now },
    failure: { reason: step.reason, message: step.facts },
  });
  next.condition('Ready', 'False', step.reason, step.facts);
  next.condition('Failed', 'True', step.reason, step.facts);
}
