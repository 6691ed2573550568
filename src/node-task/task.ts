// NodeTasks as the controller makes and reads them (pure).
import { API_VERSION } from '../../crds/meta.ts';
import { LABELS, labelValue, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask, NodeTaskSpec } from '../../crds/node-task.ts';

/** Agents renew the heartbeat every 10 s. */
export const HEARTBEAT_LIMIT_MILLIS = 60_000;
/** What an agent has to stop by itself once the deadline is over. */
export const DEADLINE_GRACE_MILLIS = 30_000;
const RETRY_MILLIS = 15_000;

const NAME_PREFIXES = {
  Dump: 'dump',
  Restore: 'restore',
  Receive: 'receive',
  Thaw: 'thaw',
  DeleteBundle: 'delete-bundle',
  Verify: 'verify',
  Describe: 'describe',
} as const satisfies Record<NodeTaskSpec['type'], string>;

/**
 * The name is a lock: the API server lets only one task of a type exist for a subject.
 * @param subjectUid the pod (Dump, Restore, Thaw; Describe: the agent's) or the Checkpoint (DeleteBundle, Receive, Verify) worked on
 */
export function taskName(type: NodeTaskSpec['type'], subjectUid: string): string {
  return `${NAME_PREFIXES[type]}-${subjectUid}`;
}

/** @param attempt the owner's attempts so far, this one included */
export function newTask(subjectUid: string, spec: NodeTaskSpec, attempt = 1): NodeTask {
  return {
    apiVersion: API_VERSION,
    kind: 'NodeTask',
    metadata: {
      name: taskName(spec.type, subjectUid),
      namespace: OPERATOR_NAMESPACE,
      labels: {
        'app.kubernetes.io/managed-by': 'diapause',
        [LABELS.node]: labelValue(spec.nodeName),
        [LABELS.ownerKind]: spec.owner.kind,
        [LABELS.ownerUid]: spec.owner.uid,
        [LABELS.taskType]: spec.type,
        [LABELS.podUid]: podUidOf(spec) ?? '',
        [LABELS.attempt]: String(attempt),
      },
    },
    spec,
  };
}

export function attemptOf(task: NodeTask): number {
  return Number(task.metadata.labels?.[LABELS.attempt] ?? 1);
}

export function isFinished(task: NodeTask): boolean {
  return ['Succeeded', 'Failed', 'Canceled'].includes(task.status?.state ?? '');
}

/** A small task (Thaw, DeleteBundle) that failed and is old enough to be made anew. */
export function retryable(task: NodeTask, nowMillis: number): boolean {
  const age = nowMillis - Date.parse(task.metadata.creationTimestamp ?? '');
  return isFinished(task) && age > RETRY_MILLIS;
}

/** Unclaimed: no agent has accepted it. Lost: one has, and was not heard of since. */
export type TaskHealth = 'finished' | 'running' | 'unclaimed' | 'lost';

export function taskHealth(task: NodeTask, nowMillis: number): TaskHealth {
  if (isFinished(task)) {
    return 'finished';
  }
  if (task.status?.acceptedBy === undefined) {
    return 'unclaimed';
  }
  const heard = Date.parse(task.status.heartbeatTime ?? task.metadata.creationTimestamp ?? '');
  // Not a time at all counts as lost, too.
  return nowMillis - heard <= HEARTBEAT_LIMIT_MILLIS ? 'running' : 'lost';
}

function podUidOf(spec: NodeTaskSpec): string | undefined {
  switch (spec.type) {
    case 'Dump':
      return spec.dump.pod.uid;
    case 'Restore':
      return spec.restore.pod.uid;
    case 'Thaw':
      return spec.thaw.pod.uid;
    case 'Receive':
      return spec.receive.pod.uid;
    case 'DeleteBundle':
    case 'Verify':
    case 'Describe':
      return undefined;
  }
}

/** Folder of a bundle below its volume. The uid keeps bundles of the same name apart; names may be too long. */
export function bundlePath(namespace: string, checkpointName: string, uid: string): string {
  return `${namespace}/${checkpointName.slice(0, 200)}-${uid}`;
}
