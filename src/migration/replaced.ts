// Pods whose name or count belongs to their controller: the source must be gone before its successor can come (design
// K9). So nothing waits beside it, and its end is the point of no return (pure).
import type { Migration } from '../../crds/migration.ts';
import { JOB_TRACKING_FINALIZER } from '../../crds/names.ts';
import { findCondition, isConditionTrue } from '../../kube/conditions.ts';
import { agentOn } from '../cluster/agents.ts';
import { isNodeReady } from '../cluster/types.ts';
import {
  type MigrationFacts,
  type MigrationStep,
  ownCheckpoint,
  ownRestore,
  sourcePod,
  wait,
} from './facts.ts';
import { reasonToGiveUp } from './give-up.ts';

const REPLACING_OWNERS: readonly (string | undefined)[] = ['StatefulSet', 'Job'];
const POLL_MILLIS = 100;

export function isReplacing(ownerKind: string | undefined): boolean {
  return REPLACING_OWNERS.includes(ownerKind);
}

/** The successor is the next replica that the source's controller makes. */
export function isReplaced({ status }: Migration): boolean {
  return isReplacing(status?.source?.ownerKind);
}

/** What can be known of the target before anything is there: as much as possible, since the source will be gone. */
export function targetIsNotReady(facts: MigrationFacts): MigrationStep | undefined {
  const { migration, targetNode, agents } = facts;
  const { nodeName } = migration.spec.target;
  if (nodeName === undefined) {
    const others = agents.filter((agent) => agent.nodeName !== migration.status?.source?.node);
    return others.some(({ ready }) => ready)
      ? undefined
      : wait('StartingTarget', 'no ready agent runs on any other node');
  }
  if (targetNode === undefined || !isNodeReady(targetNode)) {
    return wait('StartingTarget', `node ${nodeName} is not ready`);
  }
  return agentOn(agents, nodeName)?.ready === true
    ? undefined
    : wait('StartingTarget', `no ready agent runs on node ${nodeName}`);
}

/** The next replica is ours as soon as the source is gone. */
export function isAwaited(facts: MigrationFacts): boolean {
  return ownRestore(facts)?.status?.adoption?.inForce === true;
}

export function decideReplacement(facts: MigrationFacts): MigrationStep {
  const source = sourcePod(facts);
  if (source === undefined) {
    return succession(facts);
  }
  if (source.metadata.deletionTimestamp !== undefined) {
    return (source.metadata.deletionGracePeriodSeconds ?? 0) > 1
      ? { do: 'end-source', pod: source }
      : wait('ReleasingSource', `waiting for pod ${source.metadata.name} to end`, POLL_MILLIS);
  }
  const isCounted = source.metadata.finalizers?.includes(JOB_TRACKING_FINALIZER) === true;
  const ofJob = facts.migration.status?.source?.ownerKind === 'Job';
  // A source that its Job does not count any more cannot go on as if nothing had been.
  const reason = ofJob && !isCounted ? undefined : (reasonToGiveUp(facts) ?? notAwaited(facts));
  if (reason !== undefined) {
    return { do: 'give-up', ...reason };
  }
  return isCounted ? { do: 'uncount-source', pod: source } : { do: 'end-source', pod: source };
}

function notAwaited(facts: MigrationFacts): ReturnType<typeof reasonToGiveUp> {
  return isAwaited(facts)
    ? undefined
    : { reason: 'TargetLost', facts: 'the Restore does not wait for the next replica any more' };
}

/** The source is gone: forward is the only way. */
function succession(facts: MigrationFacts): MigrationStep {
  const restore = ownRestore(facts);
  const conditions = restore?.status?.conditions;
  if (isConditionTrue(conditions, 'Ready')) {
    return { do: 'finish' };
  }
  const { name = '' } = ownCheckpoint(facts)?.metadata ?? {};
  const kept = `the source is gone; Checkpoint ${name} keeps what it was`;
  if (restore === undefined || restore.metadata.deletionTimestamp !== undefined) {
    return { do: 'fail', reason: 'TargetLost', facts: `the Restore was deleted; ${kept}` };
  }
  const failed = findCondition(conditions, 'Failed');
  if (failed?.status === 'True') {
    return { do: 'fail', reason: 'TargetLost', facts: `${failed.message}; ${kept}` };
  }
  const ready = findCondition(conditions, 'Ready');
  return wait('Restoring', ready?.message ?? 'not looked at yet', POLL_MILLIS);
}
