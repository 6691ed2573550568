// Why a group that is on its way must be undone (pure): the first reason that applies.
import { findCondition } from '../../kube/conditions.ts';
import { stops } from './barrier.ts';
import { deadlineMillis, type Failure, type GroupFacts, isMade, ownCheckpoints } from './facts.ts';

/** From the decision to pods that run: a reconcile and a Thaw task. */
const UNDO_MILLIS = 2_000;

const REASONS_TO_GIVE_UP: readonly ((facts: GroupFacts) => Failure | undefined)[] = [
  nameIsTaken,
  memberFailed,
  isUnwanted,
  isLate,
  standsStillTooLong,
];

export function reasonToGiveUp(facts: GroupFacts): Failure | undefined {
  for (const find of REASONS_TO_GIVE_UP) {
    const failure = find(facts);
    if (failure !== undefined) {
      return failure;
    }
  }
  return undefined;
}

function nameIsTaken({ group, checkpoints }: GroupFacts): Failure | undefined {
  const stranger = checkpoints.find((checkpoint) => !isMade(group, checkpoint));
  return (
    stranger && {
      reason: 'NameTaken',
      facts: `metadata.name: a Checkpoint named "${stranger.metadata.name}" exists already`,
    }
  );
}

function memberFailed(facts: GroupFacts): Failure | undefined {
  const own = ownCheckpoints(facts);
  // Made once, and missing or going now: somebody has deleted it.
  const going = own.find(({ metadata }) => metadata.deletionTimestamp !== undefined);
  const wereAllMade = findCondition(facts.group.status?.conditions, 'Prepared') !== undefined;
  const { members = [] } = facts.group.status ?? {};
  if (going !== undefined || (wereAllMade && own.length < members.length)) {
    const facts = `Checkpoint ${going?.metadata.name ?? 'of a member'} was deleted`;
    return { reason: 'MemberFailed', facts };
  }
  for (const { metadata, status } of own) {
    const failed = findCondition(status?.conditions, 'Failed');
    if (failed?.status === 'True') {
      const why = `Checkpoint ${metadata.name}: ${failed.reason}: ${failed.message}`;
      return { reason: 'MemberFailed', facts: why };
    }
  }
  return undefined;
}

function isUnwanted({ group }: GroupFacts): Failure | undefined {
  const deleted = group.metadata.deletionTimestamp !== undefined;
  if (!deleted && group.spec.cancel !== true) {
    return undefined;
  }
  const how = deleted ? 'the CheckpointGroup was deleted' : 'cancelled by spec.cancel';
  return { reason: 'Canceled', facts: `${how} before all pods were stored` };
}

function isLate({ group, nowMillis }: GroupFacts): Failure | undefined {
  if (nowMillis <= deadlineMillis(group)) {
    return undefined;
  }
  const last = findCondition(group.status?.conditions, 'Ready')?.message ?? 'nothing';
  return {
    reason: 'TimedOut',
    facts: `spec.limits.timeoutSeconds: not done in time; last: ${last}`,
  };
}

/** The first of them has waited for the others longer than one of them may stand still. */
function standsStillTooLong(facts: GroupFacts): Failure | undefined {
  const { group, nowMillis } = facts;
  const own = ownCheckpoints(facts);
  const stopped = stops(own, group.status?.timing, nowMillis);
  const limits = own.flatMap(({ status }) => status?.timing?.freezeLimitMillis ?? []);
  if (stopped === undefined || limits.length === 0) {
    return undefined;
  }
  const limitMillis = Math.min(...limits);
  const patience = limitMillis - Math.min(UNDO_MILLIS, limitMillis / 4);
  const millis = nowMillis - stopped.firstMillis;
  return millis <= patience
    ? undefined
    : {
        reason: 'FreezeLimitExceeded',
        facts: `the first pod has stood still for ${millis} ms, and not all are stored`,
      };
}
