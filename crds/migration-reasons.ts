// The reasons that only a Migration has, besides those that it shares with its Checkpoint and its Restore.
import { define } from './reason-facts.ts';

export const MIGRATION_PROGRESS = define('progress', {
  StartingTarget: ['both nodes are being prepared; the pod runs on untouched', ''],
  ReleasingSource: ['the new pod runs and is ready; the frozen source is being ended', ''],
  EndingTarget: ['the new pod is being ended, so that the source can go on', ''],
  ResumingSource: ['the source is being let go on', ''],
});

export const MIGRATION_WAITING = define('waiting', {
  TargetUnknown: [
    'the new pod may run on a node that does not answer, so the source must stay frozen',
    'bring the node back; if it is known to be off, delete its Node object',
  ],
});

export const MIGRATION_SUCCESS = define('success', {
  TargetPrepared: ["the new pod's containers and both volume holders run", ''],
  Synchronized: ['everything that the target needs is where it can be reached', ''],
  Frozen: ['the source stands still', ''],
  SourceEnded: ['the source pod has ended without running again', ''],
});

export const MIGRATION_FAILURE = define('failure', {
  SameNode: ['the pod is on that node already', 'name another node in spec.target.nodeName'],
  StrategyUnsupported: ['this strategy does not exist yet', 'use spec.strategy: Cold'],
  OwnerUnsupported: [
    'pods of this controller cannot be migrated',
    'pods without a controller can, and those of Deployments, ReplicaSets, StatefulSets and Jobs',
  ],
  AlreadyMigrating: [
    'the pod is being migrated already',
    'wait for the other Migration, or cancel it with spec.cancel: true',
  ],
  NameTaken: [
    'another object has the name that the Migration needs',
    'give the Migration another name, or delete that object',
  ],
  DowntimeExceeded: [
    'the pod would have stood still for too long; the source runs on',
    'raise spec.limits.maxDowntimeSeconds, or failureThreshold × periodSeconds of its liveness probe',
  ],
  TargetLost: [
    'the new pod went away before it had taken over',
    'look at the events of its node and create a new Migration',
  ],
});
