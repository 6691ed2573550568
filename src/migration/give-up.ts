// Why a Migration that is on its way must be undone (pure): the first reason that applies.
import type { FailureReason } from '../../crds/conditions.ts';
import { REASONS } from '../../crds/conditions.ts';
import type { Condition } from '../../crds/meta.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import {
  deadlineMillis,
  type Failure,
  type MigrationFacts,
  ownCheckpoint,
  ownRestore,
  sourcePod,
} from './facts.ts';

const REASONS_TO_GIVE_UP: readonly ((facts: MigrationFacts) => Failure | undefined)[] = [
  nameIsTaken,
  checkpointFailed,
  restoreFailed,
  isUnwanted,
  isLate,
  standsStillTooLong,
];

/** From the decision to a source that runs: two reconciles and a Thaw task, and the end of the new pod. */
const UNDO_MILLIS = 4_000;

export function reasonToGiveUp(facts: MigrationFacts): Failure | undefined {
  for (const find of REASONS_TO_GIVE_UP) {
    const failure = find(facts);
    if (failure !== undefined) {
      return failure;
    }
  }
  return undefined;
}

/** Until the source must run again or have been replaced. */
export function millisOfDowntimeLeft({ migration, checkpoint, nowMillis }: MigrationFacts): number {
  const frozenMillis = Date.parse(migration.status?.timing?.frozenAt ?? '');
  const { maxDowntimeSeconds = Infinity } = migration.spec.limits ?? {};
  const maxMillis = maxDowntimeSeconds * 1000;
  // maxDowntimeSeconds went into it when the Checkpoint was made: if it is less, probes are the reason.
  const { freezeLimitMillis = Infinity } = checkpoint?.status?.timing ?? {};
  const limitMillis = freezeLimitMillis < maxMillis ? undoneIn(freezeLimitMillis) : maxMillis;
  return Number.isNaN(frozenMillis) ? Infinity : frozenMillis + limitMillis - nowMillis;
}

/** When to begin, so that the source runs before the kubelet loses its patience. */
function undoneIn(limitMillis: number): number {
  return limitMillis - Math.min(UNDO_MILLIS, limitMillis / 4);
}

function nameIsTaken(facts: MigrationFacts): Failure | undefined {
  const strangers = [
    ownCheckpoint(facts) === undefined ? facts.checkpoint : undefined,
    ownRestore(facts) === undefined ? facts.restore : undefined,
  ];
  const stranger = strangers.find((object) => object !== undefined);
  return stranger === undefined
    ? undefined
    : {
        reason: 'NameTaken',
        facts: `metadata.name: a ${stranger.kind} named "${stranger.metadata.name}" exists already`,
      };
}

function checkpointFailed(facts: MigrationFacts): Failure | undefined {
  const checkpoint = ownCheckpoint(facts);
  const { checkpointName } = facts.migration.status ?? {};
  if (checkpointName === undefined) {
    return undefined;
  }
  return checkpoint === undefined || checkpoint.metadata.deletionTimestamp !== undefined
    ? { reason: 'CheckpointNotFound', facts: `Checkpoint "${checkpointName}" was deleted` }
    : failureOf('the source', checkpoint.status?.conditions);
}

function restoreFailed(facts: MigrationFacts): Failure | undefined {
  const restore = ownRestore(facts);
  const { restoreName } = facts.migration.status ?? {};
  if (restoreName === undefined) {
    return undefined;
  }
  return restore === undefined || restore.metadata.deletionTimestamp !== undefined
    ? { reason: 'TargetLost', facts: `Restore "${restoreName}" was deleted` }
    : failureOf('the new pod', restore.status?.conditions);
}

/** Not while the bundle is all that is left of the application: then the only way is forward. */
function isUnwanted(facts: MigrationFacts): Failure | undefined {
  const { metadata, spec } = facts.migration;
  const deleted = metadata.deletionTimestamp !== undefined;
  if (isSourceGone(facts) || !(deleted || spec.cancel === true)) {
    return undefined;
  }
  const how = deleted ? 'the Migration was deleted' : 'cancelled by spec.cancel';
  return { reason: 'Canceled', facts: `${how} before the source was released` };
}

function isLate(facts: MigrationFacts): Failure | undefined {
  const { migration, nowMillis } = facts;
  if (isSourceGone(facts) || nowMillis <= deadlineMillis(migration)) {
    return undefined;
  }
  const last = findCondition(migration.status?.conditions, 'Ready')?.message ?? 'nothing';
  const why = 'spec.limits.completionTimeoutSeconds: not done in time';
  return { reason: 'TimedOut', facts: `${why}; last: ${last}` };
}

function standsStillTooLong(facts: MigrationFacts): Failure | undefined {
  if (isSourceGone(facts) || millisOfDowntimeLeft(facts) > 0) {
    return undefined;
  }
  const { frozenAt } = facts.migration.status?.timing ?? {};
  const why = `frozen since ${frozenAt}, and the new pod is not ready`;
  return { reason: 'DowntimeExceeded', facts: why };
}

function isSourceGone(facts: MigrationFacts): boolean {
  const source = sourcePod(facts);
  const stored = isConditionTrue(ownCheckpoint(facts)?.status?.conditions, 'Ready');
  return stored && (source === undefined || source.metadata.deletionTimestamp !== undefined);
}

function failureOf(
  what: string,
  conditions: readonly Condition[] | undefined,
): Failure | undefined {
  const failed = findCondition(conditions, 'Failed');
  if (failed?.status !== 'True') {
    return undefined;
  }
  const reason = failed.reason as FailureReason;
  // Our own condition appends the advice again.
  const advice = `: ${REASONS[reason].action}`;
  const { message } = failed;
  const facts = message.endsWith(advice) ? message.slice(0, -advice.length) : message;
  return { reason, facts: `${what}: ${facts}` };
}
