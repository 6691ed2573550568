// Which Checkpoints of a schedule go: successes by its retention, failures by their number (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { SCHEDULE_DEFAULTS } from '../../crds/checkpoint-schedule.ts';
import type { Restore } from '../../crds/restore.ts';
import { maybeFrozen } from '../checkpoint/facts.ts';
import { isFinishedRestore } from '../restore/facts.ts';
import {
  createdMillis,
  hasFailed,
  hasSucceeded,
  runOf,
  type ScheduleFacts,
  timeZoneOf,
} from './facts.ts';
import { type Kept, retention } from './retention.ts';

export interface Keeping {
  readonly remove: readonly Checkpoint[];
  /** those that can be restored and stay */
  readonly stay: readonly Checkpoint[];
  /** what stays although it should go, and why */
  readonly blocked: readonly string[];
}

export function decideKeeping(facts: ScheduleFacts): Keeping {
  const { schedule, checkpoints, restores } = facts;
  const { spec } = schedule;
  const successes = checkpoints.filter(hasSucceeded);
  const users = usersOf(restores);
  const { remove, blocked } = retention(
    successes.map((one) => asKept(one, users)),
    {
      ...(spec.retention ?? SCHEDULE_DEFAULTS.retention),
      ...(spec.successfulHistoryLimit !== undefined && {
        successfulHistoryLimit: spec.successfulHistoryLimit,
      }),
      timeZone: timeZoneOf(schedule),
    },
  );
  const going = successes.filter(({ metadata }) => remove.includes(metadata.name));
  return {
    remove: [...going, ...oldFailures(facts, users)],
    stay: successes.filter((one) => !going.includes(one)),
    blocked,
  };
}

/** The newest are left to look at. One that may keep a pod frozen has its thaw to wait for. */
function oldFailures(
  { schedule, checkpoints }: ScheduleFacts,
  users: ReadonlyMap<string, string>,
): readonly Checkpoint[] {
  const limit = schedule.spec.failedHistoryLimit ?? SCHEDULE_DEFAULTS.failedHistoryLimit;
  return checkpoints
    .filter(hasFailed)
    .toSorted((a, b) => createdMillis(b) - createdMillis(a))
    .slice(limit)
    .filter((one) => neededBecause(one, users) === undefined && !maybeFrozen(one));
}

function asKept(checkpoint: Checkpoint, users: ReadonlyMap<string, string>): Kept {
  const { metadata, status } = checkpoint;
  const needed = neededBecause(checkpoint, users);
  const frozenAt = status?.timing?.frozenAt;
  return {
    name: metadata.name,
    workload: workloadOf(checkpoint),
    run: runOf(checkpoint),
    savedMillis: frozenAt === undefined ? createdMillis(checkpoint) : Date.parse(frozenAt),
    bytes: status?.bundle?.bytes ?? 0,
    ...(status?.parent && { parent: status.parent.name }),
    ...(needed !== undefined && { needed }),
  };
}

/** Replicas of a Deployment come and go under new names and, with every roll-out, under a new ReplicaSet. */
function workloadOf({ spec, status }: Checkpoint): string {
  const { ownerKind, ownerName = '' } = status?.source ?? {};
  const hash = status?.podTemplate?.metadata.labels?.['pod-template-hash'];
  if (ownerKind !== 'ReplicaSet') {
    return `Pod/${spec.source.pod.name}`;
  }
  const suffix = `-${hash}`;
  const name = ownerName.endsWith(suffix) ? ownerName.slice(0, -suffix.length) : ownerName;
  return `Deployment/${name}`;
}

/** Names of the Restores that still read a bundle, by Checkpoint. */
function usersOf(restores: readonly Restore[]): ReadonlyMap<string, string> {
  return new Map(
    restores
      .filter((restore) => !isFinishedRestore(restore))
      .map(({ spec, metadata }) => [spec.checkpointRef.name, metadata.name] as const),
  );
}

function neededBecause(
  { metadata, spec }: Checkpoint,
  users: ReadonlyMap<string, string>,
): string | undefined {
  if (spec.retention?.hold === true) {
    return 'it is held';
  }
  const user = users.get(metadata.name);
  return user === undefined ? undefined : `Restore ${user} uses it`;
}
