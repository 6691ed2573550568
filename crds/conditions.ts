// The closed sets of condition types and reasons, with what each means and what the user can do about it.
// Messages of conditions end with that advice, and the documentation is made from it.
import { FAILURE } from './failure-reasons.ts';
import { GROUP_FAILURE, GROUP_PROGRESS, GROUP_SUCCESS } from './group-reasons.ts';
import {
  MIGRATION_FAILURE,
  MIGRATION_PROGRESS,
  MIGRATION_SUCCESS,
  MIGRATION_WAITING,
} from './migration-reasons.ts';
import { define } from './reason-facts.ts';
import { SCHEDULE_REASONS } from './schedule-reasons.ts';

export const CHECKPOINT_CONDITIONS = [
  'Accepted',
  'Captured',
  'Stored',
  'SourceFrozen',
  'Ready',
  'Failed',
] as const;
export type CheckpointConditionType = (typeof CHECKPOINT_CONDITIONS)[number];

export const RESTORE_CONDITIONS = [
  'Accepted',
  'Placed',
  'ProcessesRestored',
  'Verified',
  'Ready',
  'Failed',
] as const;
export type RestoreConditionType = (typeof RESTORE_CONDITIONS)[number];

export const SCHEDULE_CONDITIONS = ['Ready', 'Exclusive', 'RetentionMet'] as const;
export type ScheduleConditionType = (typeof SCHEDULE_CONDITIONS)[number];

export const MIGRATION_CONDITIONS = [
  'Accepted',
  'TargetReady',
  'Synced',
  'SourceFrozen',
  'Restored',
  'SourceReleased',
  'Ready',
  'Failed',
] as const;
export type MigrationConditionType = (typeof MIGRATION_CONDITIONS)[number];

export const GROUP_CONDITIONS = ['Accepted', 'Prepared', 'Stored', 'Ready', 'Failed'] as const;
export type GroupConditionType = (typeof GROUP_CONDITIONS)[number];

export const STORE_CONDITIONS = ['Ready'] as const;
export type StoreConditionType = (typeof STORE_CONDITIONS)[number];

const PROGRESS = define('progress', {
  Pending: ['not looked at yet', ''],
  Validated: ['everything that can be checked beforehand was found in order', ''],
  PreparingStore: ['the volume holder is starting on the node', ''],
  Freezing: ['the agent is stopping the processes and reading their state', ''],
  Dumping: ['the agent is at work', ''],
  Storing: ['memory, state and files are being written to the store', ''],
  Restoring: ['the agent is rebuilding the processes inside the pod', ''],
  StartingPlaceholder: ['the new pod is starting; its containers wait for the processes', ''],
  WaitingForPodReady: ['the processes run; the pod is not ready yet', ''],
  Retrying: ['the last attempt failed for a passing reason and is being repeated', ''],
  Thawing: ['the agent is letting the frozen source go on', ''],
  DeletingSource: ['the source pod is being deleted, as asked for by afterDump: DeletePod', ''],
  Deleting: ['the bundle is being removed from the store', ''],
});

const WAITING = define('waiting', {
  Prepared: [
    'everything is prepared; the pod runs on untouched',
    'set spec.suspend to false to save it',
  ],
  Queued: [
    'another task works on this pod; only one does at a time',
    'wait, or cancel the other Checkpoint',
  ],
  ProbeFailing: [
    'a liveness probe of the pod is failing: a freeze now could get the container killed',
    'wait until the pod is healthy, or look at its events',
  ],
  NodeNotReady: [
    'the node is not ready',
    'wait for the node, or look at it with kubectl describe node',
  ],
  AgentUnavailable: [
    'no ready agent runs on the node',
    'look at the pods of the DaemonSet diapause-agent in the namespace diapause-system',
  ],
  StoreNotReady: [
    "the store's claim cannot be used yet",
    'look at the CheckpointStore and its PersistentVolumeClaim',
  ],
  ClaimNotBound: [
    'the PersistentVolumeClaim has no volume yet',
    'look at the claim with kubectl describe pvc',
  ],
  HolderNotStarting: [
    'the pod that mounts the claim on the node does not start',
    'look at the pod diapause-holder-… in this namespace: its events name the reason',
  ],
  CheckpointNotReady: [
    'the Checkpoint is not ready',
    'wait for it, or look at it with kubectl describe chk',
  ],
  WaitingForReplica: [
    'the next replica of the controller becomes the restored pod',
    'delete the pod that is to be replaced, or scale the controller up',
  ],
  Unschedulable: [
    'no node takes the new pod',
    'look at the new pod with kubectl describe pod; free resources or choose another node',
  ],
  ImageUnavailable: [
    'the node cannot get an image of the new pod',
    'look at the new pod with kubectl describe pod; the image must be the very one of the source',
  ],
});

const SUCCESS = define('success', {
  Completed: ['done', ''],
  DryRunPassed: ['nothing was found that could not be saved; nothing was saved', ''],
  Captured: ['state and memory are taken', ''],
  Stored: ['the bundle is complete and durable', ''],
  SourceRunning: ['the source runs', ''],
  KeptFrozen: [
    'the source is kept frozen, as asked for by afterDump: Stop',
    'set spec.afterDump to Resume to let it go on, or to DeletePod to remove it',
  ],
  SourceDeleted: ['the source pod was deleted, as asked for', ''],
  SourceGone: ['the source pod does not exist any more', ''],
  PodRunning: ["the pod's containers run", ''],
  Verified: ['what was restored is what was saved', ''],
  Restored: ['the processes were rebuilt and run', ''],
  ClaimBound: ['the claim is bound and can be written', ''],
  BindsOnFirstUse: ['the claim gets its volume when it is used for the first time', ''],
  NotFailed: ['no failure', ''],
});

const ALL_PROGRESS = { ...PROGRESS, ...MIGRATION_PROGRESS, ...GROUP_PROGRESS };
const ALL_WAITING = { ...WAITING, ...MIGRATION_WAITING };
const ALL_SUCCESS = { ...SUCCESS, ...MIGRATION_SUCCESS, ...GROUP_SUCCESS };
const ALL_FAILURE = { ...FAILURE, ...MIGRATION_FAILURE, ...GROUP_FAILURE };

export const REASONS = {
  ...ALL_PROGRESS,
  ...ALL_WAITING,
  ...ALL_SUCCESS,
  ...ALL_FAILURE,
  ...SCHEDULE_REASONS,
} as const;
export type Reason = keyof typeof REASONS;
export type WaitingReason = keyof typeof ALL_PROGRESS | keyof typeof ALL_WAITING;
export type FailureReason = keyof typeof ALL_FAILURE;

/** Codes that an agent may put into `status.error.code` of a NodeTask: the failures it can see. */
export const TASK_ERROR_CODES = [
  'PodDeleted',
  'PodBusy',
  'ContainerNotFound',
  'ContainerNotRunning',
  'ContainerMismatch',
  'StoreReadOnly',
  'StoreFull',
  'StoreUnavailable',
  'HolderLost',
  'Unsupported',
  'ConnectionsStay',
  'HookFailed',
  'FreezeLimitExceeded',
  'BudgetExceeded',
  'ArchMismatch',
  'CpuFeatureMissing',
  'ClockEarlier',
  'KernelTooOld',
  'ImageMismatch',
  'MountMismatch',
  'LimitTooSmall',
  'PidTaken',
  'RewindFailed',
  'MemoryDiffers',
  'ProbeFailed',
  'BundleMissing',
  'BundleCorrupt',
  'BundleInvalid',
  'PeerUnreachable',
  'PeerUntrusted',
  'TransferFailed',
  'NodeSpaceFull',
  'EngineFailed',
  'AgentRestarted',
  'TaskFailed',
  'TimedOut',
  'Canceled',
] as const satisfies readonly FailureReason[];
export type TaskErrorCode = (typeof TASK_ERROR_CODES)[number];

/** A newer agent may know more codes than we do: those count as TaskFailed. */
export function reasonOfTaskError(code: string): FailureReason {
  return TASK_ERROR_CODES.find((known) => known === code) ?? 'TaskFailed';
}

/** `facts; do this`: what happened in this case, then what the reason advises. */
export function conditionMessage(reason: Reason, facts?: string): string {
  const { meaning, action } = REASONS[reason];
  const text = facts === undefined || facts === '' ? meaning : facts;
  return action === '' ? text : `${text}: ${action}`;
}
