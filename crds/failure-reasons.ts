// Why a Checkpoint or a Restore has failed for good, and what the user can do about it.
import { define } from './reason-facts.ts';

export const FAILURE = define('failure', {
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
  ConnectionsStay: [
    'connections that lead out of the saved pod go on in that pod only',
    'rewind it (target.type: InPlace), or save with sockets.established: Close',
  ],
  HookFailed: [
    'a hook failed',
    'correct the hook that the message or the condition Verified names, or give it onError: Ignore',
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
  AdoptionUnavailable: [
    'this cluster cannot make the next replica of a controller the restored pod',
    'install the MutatingAdmissionPolicy diapause-adoption (deploy/base/adoption.yaml; Kubernetes 1.36 or later)',
  ],
  OwnerNotFound: [
    'the controller whose next replica is wanted does not exist',
    'correct spec.target.adopt.ownerRef, or create the controller',
  ],
  PodRejected: [
    'the API server refused the new pod',
    'see the message: a quota, Pod Security or another policy said no',
  ],
  NodeNotFound: ['there is no such node', 'correct spec.target.newPod.nodeName, or leave it out'],
  VolumeStaysBehind: [
    'a volume of the pod cannot go along',
    'keep what must survive in a claim that several nodes can mount (ReadWriteMany), or choose a node that can mount it',
  ],
  ArchMismatch: [
    "the node has another CPU architecture than the Checkpoint's",
    'choose a node with the architecture named in status.requirements of the Checkpoint',
  ],
  CpuFeatureMissing: [
    'the node lacks a CPU feature that the processes may use',
    'choose a node with the features named in the message (all that are needed: status.requirements.cpuFeatures of the Checkpoint)',
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
    'a process id that the application had is taken inside the pod and stays taken',
    'end kubectl exec sessions in the pod and create a new Restore',
  ],
  RewindFailed: [
    'the running processes were ended, and the saved ones could not be rebuilt',
    'the kubelet starts the container anew by its restart policy; restore the Checkpoint into a new pod',
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
  MemoryDiffers: [
    'memory of a rebuilt process differs from the bundle; the process was not let run',
    'create a new Restore; should it happen again, restore from another Checkpoint and report it',
  ],
  ProbeFailed: [
    'the restored pod does not pass spec.verify.probe',
    'look at the logs of the restored pod; it was left in place and is not ready',
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
  PeerUnreachable: [
    "the source's agent could not connect to the target's; the source runs on",
    'let the pods of the DaemonSet diapause-agent reach each other on any port, or use spec.strategy: Cold',
  ],
  PeerUntrusted: [
    "another program than the other node's agent answered; the source runs on",
    'look at what has the address of the agent, and who can write NodeTasks',
  ],
  TransferFailed: [
    'the stream between the two agents broke; the source runs on',
    'look at the network between the nodes; create a new Migration to try again',
  ],
  NodeSpaceFull: [
    "a node's own disk has no room for what passes through; the source runs on",
    'make room in /var/lib/diapause of the node, or use spec.strategy: Cold',
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
