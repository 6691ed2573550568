// Which objects a change concerns: keys for the queues of the controllers (pure).
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { API_VERSION, type TypedObject } from '../../crds/meta.ts';
import { ANNOTATIONS, LABELS, type PodRole } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore } from '../../crds/restore.ts';
import { objectKey } from '../../kube/keys.ts';
import { isFinishedCheckpoint } from '../checkpoint/facts.ts';
import { isFinishedRestore } from '../restore/facts.ts';
import type { Pod } from './pod.ts';
import type { Cached } from './view.ts';

export function ownKey(object: TypedObject): readonly string[] {
  return [objectKey(object.metadata)];
}

/** The object that a task works for. */
export function ownerKey(kind: 'Checkpoint' | 'Restore'): (task: NodeTask) => readonly string[] {
  return ({ spec: { owner } }) => (owner.kind === kind ? [objectKey(owner)] : []);
}

/** The Migration or CheckpointGroup that made a Checkpoint or Restore. */
export function madeByKey(
  kind: 'Migration' | 'CheckpointGroup',
): (object: TypedObject) => readonly string[] {
  return ({ metadata }) => {
    const owner = metadata.ownerReferences?.find(
      (one) => one.apiVersion === API_VERSION && one.kind === kind,
    );
    const { namespace } = metadata;
    return owner === undefined ? [] : [objectKey({ namespace, name: owner.name })];
  };
}

export function hasRole(pod: Pod, role: PodRole): boolean {
  return pod.metadata.labels?.[LABELS.role] === role;
}

/** Whoever may be waiting for this holder. */
export function waitingForHolder<T extends TypedObject>(
  objects: Cached<T>,
  isFinished: (object: T) => boolean,
): (pod: Pod) => readonly string[] {
  return (pod) =>
    hasRole(pod, 'holder')
      ? objects
          .values()
          .filter((o) => o.metadata.namespace === pod.metadata.namespace && !isFinished(o))
          .map((object) => objectKey(object.metadata))
      : [];
}

/** The Restore that made a pod. */
export function makerKey(pod: Pod): readonly string[] {
  const name = pod.metadata.annotations?.[ANNOTATIONS.restore];
  const { namespace } = pod.metadata;
  return hasRole(pod, 'restored') && name !== undefined ? [objectKey({ namespace, name })] : [];
}

/** Restores that may be waiting for a Checkpoint. */
export function restoresOf(
  restores: Cached<Restore>,
): (checkpoint: Checkpoint) => readonly string[] {
  return ({ metadata }) =>
    restores
      .values()
      .filter(
        (restore) =>
          restore.metadata.namespace === metadata.namespace &&
          restore.spec.checkpointRef.name === metadata.name &&
          !isFinishedRestore(restore),
      )
      .map((restore) => objectKey(restore.metadata));
}

/** Checkpoints that may be waiting in line behind this one. */
export function queuedBehind(
  checkpoints: Cached<Checkpoint>,
): (checkpoint: Checkpoint) => readonly string[] {
  return ({ metadata, spec }) =>
    checkpoints
      .values()
      .filter(
        (other) =>
          other.metadata.namespace === metadata.namespace &&
          other.metadata.uid !== metadata.uid &&
          other.spec.source.pod.name === spec.source.pod.name &&
          !isFinishedCheckpoint(other),
      )
      .map((other) => objectKey(other.metadata));
}

/** Tasks that nobody will take care of any more once this owner is gone. */
export function tasksOf(tasks: Cached<NodeTask>): (owner: TypedObject) => readonly string[] {
  return ({ metadata }) =>
    metadata.deletionTimestamp === undefined ? [] : keysOfTasks(tasks, metadata.uid);
}

/** The same for an agent: pods may go without a word before. */
export function tasksOfAgent(tasks: Cached<NodeTask>): (pod: Pod) => readonly string[] {
  return (pod) => (hasRole(pod, 'agent') ? keysOfTasks(tasks, pod.metadata.uid) : []);
}

function keysOfTasks(tasks: Cached<NodeTask>, ownerUid: string | undefined): readonly string[] {
  return tasks
    .values()
    .filter((task) => task.spec.owner.uid === ownerUid)
    .map((task) => objectKey(task.metadata));
}
