// Names that several components must spell the same way: labels, annotations, finalizers, paths inside our pods.
import { createHash } from 'node:crypto';
import { GROUP } from './meta.ts';

/** Where the operator lives; NodeTasks exist only there. */
export const OPERATOR_NAMESPACE = 'diapause-system';

/** Values of the label `role`: the pods that the controller watches. */
export const POD_ROLES = ['agent', 'holder', 'restored'] as const;
export type PodRole = (typeof POD_ROLES)[number];

export const LABELS = {
  /** on every pod of ours, one of POD_ROLES */
  role: `${GROUP}/role`,
  /** on NodeTasks: node name, or its short form where it is longer than a label may be */
  node: `${GROUP}/node`,
  /** on NodeTasks: kind and uid of the object they work for, which lives in another namespace */
  ownerKind: `${GROUP}/owner-kind`,
  ownerUid: `${GROUP}/owner-uid`,
  taskType: `${GROUP}/task-type`,
  /** on NodeTasks: which attempt of the owner it is, from 1 */
  attempt: `${GROUP}/attempt`,
  /** on NodeTasks: the pod worked on; on restored pods: uid of their Restore */
  podUid: `${GROUP}/pod-uid`,
  restoreUid: `${GROUP}/restore-uid`,
  /** on holders: uid of the claim they mount */
  claimUid: `${GROUP}/claim-uid`,
  /** on Restores: "true" while the admission policy looks at them */
  waiting: `${GROUP}/waiting`,
  /** on Checkpoints of a schedule: its name, what started the run, and the run */
  schedule: `${GROUP}/schedule`,
  trigger: `${GROUP}/trigger`,
  run: `${GROUP}/run`,
} as const;

export const ANNOTATIONS = {
  /** on CheckpointStores: "true" makes it the namespace's default */
  isDefaultStore: `${GROUP}/is-default-store`,
  /** on pods: any new value asks their CheckpointSchedule (`triggers.onAnnotation`) for a Checkpoint */
  request: `${GROUP}/checkpoint-now`,
  /** on holders: RFC 3339 time of the last use; they go some minutes after it */
  lastUsed: `${GROUP}/last-used`,
  /** on holders: the claim and the node */
  claim: `${GROUP}/claim`,
  node: `${GROUP}/node`,
  /** on restored pods: names of their Restore and Checkpoint */
  restore: `${GROUP}/restore`,
  checkpoint: `${GROUP}/checkpoint`,
  /** on restored pods: JSON of what the placeholder replaced: command, args and postStart by container */
  replaced: `${GROUP}/replaced`,
  /** on migrated pods: what the first of them was called */
  firstName: `${GROUP}/first-name`,
  /** on a stored pod manifest: what was left out of it */
  redacted: `${GROUP}/redacted`,
} as const;

/** By it the Job controller knows pods whose end it has still to count. */
export const JOB_TRACKING_FINALIZER = 'batch.kubernetes.io/job-tracking';

/** The MutatingAdmissionPolicy, and its binding, that makes the next replica of a controller a placeholder. */
export const ADOPTION_POLICY = 'diapause-adoption';

export const FINALIZERS = {
  /** on Checkpoints: the bundle and the frozen source are taken care of first */
  checkpoint: `${GROUP}/bundle`,
  /** on Restores: an unfinished placeholder pod is removed first */
  restore: `${GROUP}/placeholder`,
  /** on CheckpointGroups: none of their pods stays stopped */
  group: `${GROUP}/none-stopped`,
  /** on Migrations: one of source and target runs first */
  migration: `${GROUP}/exactly-one`,
} as const;

/** Pod condition and readiness gate of restored pods. */
export const RESTORED_POD_CONDITION = `${GROUP}/restored`;

/** The static init inside its own image. */
export const INIT_IMAGE_BINARY = '/init';
/** Where a placeholder's containers find the init. */
export const INIT_MOUNT_PATH = '/diapause';
export const INIT_BINARY = `${INIT_MOUNT_PATH}/init`;
/** Volume that brings it. */
export const INIT_VOLUME = 'diapause-init';
/** Where a holder has the claim mounted. */
export const STORE_MOUNT_PATH = '/store';
/** Init container of the agent's DaemonSet: pulls the init's image to every node and tells the controller its name. */
export const INIT_IMAGE_CONTAINER = 'init-image';

/** Label values may have 63 characters: longer names keep their beginning and get a digest. */
export function labelValue(name: string): string {
  if (name.length <= 63) {
    return name;
  }
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name.slice(0, 46).replace(/[^a-zA-Z0-9]+$/, '')}-${digest}`;
}
