// The closed sets of condition types and reasons, with what each means and what the user can do about it.
// Messages of conditions end with that advice, and the documentation is made from it.
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
  'Ready',
  'Failed',
] as const;
export type RestoreConditionType = (typeof RESTORE_CONDITIONS)[number];

export const SCHEDULE_CONDITIONS = ['Ready', 'Exclusive', 'RetentionMet'] as const;
export type ScheduleConditionType = (typeof SCHEDULE_CONDITIONS)[number];

export const STORE_CONDITIONS = ['Ready'] as const;
export type StoreConditionType = (typeof STORE_CONDITIONS)[number];

const PROGRESS = define('progress', {
  Pending: ['not looked at yet', ''],
  Validated: ['everything that can be checked beforehand was found in order', ''],
  PreparingStore: ['the volume holder is starting on the node', ''],
  Freezing: ['the agent is stopping the processes and reading their state', ''],
  Dumping: ['the agent is at work', ''],
  Storing: ['memory, state and files are being written to the store', ''],
  Restoring: ['the agent is rebuilding the processes inside the new pod', ''],
  StartingPlaceholder: ['the new pod is starting; its containers wait for the processes', ''],
  WaitingForPodReady: ['the processes run; the new pod is not ready yet', ''],
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
  PodRunning: ["the new pod's containers run", ''],
  Restored: ['the processes were rebuilt and run', ''],
  ClaimBound: ['the claim is bound and can be written', ''],
  BindsOnFirstUse: ['the claim gets its volume when it is used for the first time', ''],
  NotFailed: ['no failure', ''],
});

const FAILURE = define('failure', {
  PodNotFound: ['the pod does not exist', 'name an existing pod of this namespace'],
  PodNotRunning: ['the pod does not run', 'only running pods can be saved; start it first'],
  PodChanged: [
    'the pod is another one than the one meant: its uid differs',
    'create a new Checkpoint for the present pod',
  ],
  PodDeleted: ['the pod was deleted in the middle', 'name a pod that stays'],
  PodUnsupported: [
    'pods of this kind cannot be saved or restored',
    'see the message for the property of the pod that stands in the way',
  ],
  ContainerNotFound: [
    'the pod has no such container',
    'correct spec.source.pod.containers; an empty list means all',
  ],
  ContainerNotRunning: ['a container does not run', 'wait until it runs, or leave it out'],
  NodeLost: [
    'the node vanished or does not answer',
    'look at the node; the source runs on if the node does',
  ],
  AgentLost: [
    'the agent stopped answering during the work',
    'look at the logs of the agent on that node; create a new object to try again',
  ],
  TaskLost: [
    'the NodeTask was removed by somebody else',
    'leave NodeTasks to the operator; create a new object to try again',
  ],
  StoreNotFound: [
    'there is no such CheckpointStore, or no default one',
    'create it, or annotate one with diapause.dev/is-default-store: "true"',
  ],
  ClaimNotFound: ['the PersistentVolumeClaim does not exist', 'create the claim'],
  ClaimLost: ['the volume behind the claim is gone', 'use another claim'],
  ClaimReadOnly: ['the claim allows reading only', 'use a claim with a writing access mode'],
  StoreReadOnly: ['the volume is mounted read-only', 'make the volume writable, or use another'],
  StoreFull: [
    'the volume has no room left',
    'delete Checkpoints that are not needed or enlarge the claim',
  ],
  StoreUnavailable: ['the volume could not be read or written', 'look at the message and the node'],
  HolderLost: [
    'the pod that mounts the claim went away during the work',
    'leave pods named diapause-holder-… alone; create a new object to try again',
  ],
  Unsupported: [
    'the pod uses something that cannot be saved',
    'see status.report: each entry names the process, the object and what to do',
  ],
  FreezeLimitExceeded: [
    'the freeze would have lasted longer than its limit; the application was let go',
    'raise spec.limits.maxFreezeSeconds, or failureThreshold × periodSeconds of its liveness probe',
  ],
  FreezeLimitZero: [
    "the pod's liveness probe tolerates no freeze at all",
    'raise failureThreshold of the probe, or use afterDump: Resume',
  ],
  BudgetExceeded: [
    'the bundle would have become larger than spec.limits.maxBytes',
    'raise spec.limits.maxBytes',
  ],
  PodBusy: ['something else traces or freezes the pod', 'stop it (a debugger, for instance)'],
  ContainerMismatch: [
    'what the node runs is not what the pod says',
    'look at the container on the node; create a new object to try again',
  ],
  CheckpointNotFound: ['there is no such Checkpoint', 'name an existing one of this namespace'],
  CheckpointFailed: ['the Checkpoint has failed', 'create a new Checkpoint'],
  CheckpointHasNoBundle: [
    'the Checkpoint was a dry run and holds nothing',
    'create a Checkpoint with spec.mode: Execute',
  ],
  PodNameTaken: [
    'a pod of the wanted name exists already',
    'choose another name in spec.target.newPod.name, or delete that pod',
  ],
  PodRejected: [
    'the API server refused the new pod',
    'see the message: a quota, Pod Security or another policy said no',
  ],
  NodeNotFound: ['there is no such node', 'correct spec.target.newPod.nodeName, or leave it out'],
  ArchMismatch: [
    "the node has another CPU architecture than the Checkpoint's",
    'choose a node with the architecture named in status.requirements of the Checkpoint',
  ],
  CpuFeatureMissing: [
    'the node lacks a CPU feature that the processes use',
    'choose a node with the features named in status.requirements of the Checkpoint',
  ],
  ClockEarlier: [
    "the node's monotonic clock is earlier than the source's was; clocks must not run backwards",
    'choose a node that has been up for longer',
  ],
  KernelTooOld: ['the kernel lacks something', 'choose a node with a newer kernel'],
  ImageMismatch: [
    "the new pod's image is not the one of the Checkpoint",
    'make the very same image (digest) available on the node',
  ],
  MountMismatch: [
    'the new pod lacks a mount that the processes use',
    'give the pod the same mounts as the source had',
  ],
  LimitTooSmall: [
    'a limit of the new pod is below what the processes need',
    'raise the memory or pid limit in spec.target.newPod.overrides.resources',
  ],
  PidTaken: [
    'a process id that the application had is taken inside the new pod and stays taken',
    'end kubectl exec sessions in the new pod and create a new Restore',
  ],
  PlaceholderFailed: [
    'the new pod ended before its processes were restored',
    'look at the events of the pod; create a new Restore to try again',
  ],
  PodGone: ['the new pod vanished', 'create a new Restore to try again'],
  PodNotReady: [
    'the processes were restored but the pod did not become ready',
    'look at the readiness probes and logs of the pod; it was left in place',
  ],
  BundleMissing: ['the bundle is not on the store', 'see whether the volume holds it'],
  BundleCorrupt: [
    'the bundle is damaged: a digest differs',
    'restore from another Checkpoint; this one cannot be trusted',
  ],
  BundleInvalid: [
    'the bundle is not one that this version can read, or points outside of its folder',
    'restore with the version that made it',
  ],
  BundleOrphaned: [
    'the bundle could not be removed in time and stays on the volume',
    'remove its folder from the volume by hand',
  ],
  EngineFailed: [
    'the engine failed; the application was let go',
    'look at the message and the logs of the agent; create a new object to try again',
  ],
  AgentRestarted: [
    'the agent restarted in the middle; the application was let go',
    'create a new object to try again',
  ],
  TaskFailed: ['the agent reported a failure', 'look at the message and the logs of the agent'],
  TimedOut: [
    'the time allowed was over',
    'look at the last reason before it; raise the time-out in spec',
  ],
  Canceled: ['cancelled as asked for', ''],
});

export const REASONS = {
  ...PROGRESS,
  ...WAITING,
  ...SUCCESS,
  ...FAILURE,
  ...SCHEDULE_REASONS,
} as const;
export type Reason = keyof typeof REASONS;
export type WaitingReason = keyof typeof PROGRESS | keyof typeof WAITING;
export type FailureReason = keyof typeof FAILURE;

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
  'BundleMissing',
  'BundleCorrupt',
  'BundleInvalid',
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
