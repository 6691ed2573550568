// Cluster objects besides pods that the controller reads, and where the API server keeps all of them.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointGroup } from '../../crds/checkpoint-group.ts';
import type { CheckpointSchedule } from '../../crds/checkpoint-schedule.ts';
import type { CheckpointStore } from '../../crds/checkpoint-store.ts';
import {
  type Condition,
  GROUP,
  type ObjectMeta,
  type TypedObject,
  VERSION,
} from '../../crds/meta.ts';
import type { Migration } from '../../crds/migration.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Restore } from '../../crds/restore.ts';
import type { Resource } from '../../kube/resource.ts';
import type { ResourceType } from '../../kube/resource-types.ts';
import type { NodeSelectorTerm, Pod } from './pod.ts';

export interface Node extends TypedObject {
  readonly kind: 'Node';
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: {
    readonly conditions?: readonly Pick<Condition, 'type' | 'status'>[];
    readonly nodeInfo?: {
      /** GOARCH */
      readonly architecture?: string;
      readonly kernelVersion?: string;
      readonly kubeletVersion?: string;
      readonly containerRuntimeVersion?: string;
    };
  };
}

export interface PersistentVolumeClaim extends TypedObject {
  readonly kind: 'PersistentVolumeClaim';
  readonly spec: {
    readonly accessModes?: readonly string[];
    readonly storageClassName?: string;
    /** once it is bound */
    readonly volumeName?: string;
  };
  readonly status?: {
    readonly phase?: string;
    readonly accessModes?: readonly string[];
    readonly capacity?: { readonly storage?: string };
  };
}

export interface PersistentVolume extends TypedObject {
  readonly kind: 'PersistentVolume';
  readonly spec: {
    /** nodes that can mount it; without it all of them */
    readonly nodeAffinity?: {
      readonly required?: { readonly nodeSelectorTerms: readonly NodeSelectorTerm[] };
    };
  };
}

export interface StorageClass extends TypedObject {
  readonly kind: 'StorageClass';
  readonly volumeBindingMode?: string;
}

export interface Namespace extends TypedObject {
  readonly kind: 'Namespace';
}

/** A controller of replicas, or an admission policy: hardly more than that it exists matters. */
export interface AnyObject extends TypedObject {
  readonly spec?: object;
  readonly status?: {
    /** of a StatefulSet: what its next replicas are made from */
    readonly updateRevision?: string;
  };
}

/** core/v1: what kubelets write about probes. */
export interface CoreEvent extends TypedObject {
  readonly kind: 'Event';
  readonly metadata: ObjectMeta;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly firstTimestamp?: string;
  readonly lastTimestamp?: string;
  readonly involvedObject?: { readonly fieldPath?: string };
}

function ours(plural: string): ResourceType {
  return { group: GROUP, version: VERSION, plural, namespaced: true };
}

function core(plural: string, namespaced: boolean): ResourceType {
  return { group: '', version: 'v1', plural, namespaced };
}

function grouped(group: string, plural: string, namespaced: boolean): ResourceType {
  return { group, version: 'v1', plural, namespaced };
}

export const RESOURCE_TYPES = {
  checkpoints: ours('checkpoints'),
  restores: ours('restores'),
  checkpointGroups: ours('checkpointgroups'),
  checkpointSchedules: ours('checkpointschedules'),
  migrations: ours('migrations'),
  checkpointStores: ours('checkpointstores'),
  nodeTasks: ours('nodetasks'),
  pods: core('pods', true),
  nodes: core('nodes', false),
  claims: core('persistentvolumeclaims', true),
  volumes: core('persistentvolumes', false),
  namespaces: core('namespaces', false),
  events: core('events', true),
  storageClasses: grouped('storage.k8s.io', 'storageclasses', false),
  replicaSets: grouped('apps', 'replicasets', true),
  statefulSets: grouped('apps', 'statefulsets', true),
  jobs: grouped('batch', 'jobs', true),
  mutatingPolicies: grouped('admissionregistration.k8s.io', 'mutatingadmissionpolicies', false),
  mutatingPolicyBindings: grouped(
    'admissionregistration.k8s.io',
    'mutatingadmissionpolicybindings',
    false,
  ),
} as const satisfies Record<string, ResourceType>;

/** Everything the controller asks the API server for. */
export interface ClusterResources {
  readonly checkpoints: Resource<Checkpoint>;
  readonly restores: Resource<Restore>;
  readonly checkpointGroups: Resource<CheckpointGroup>;
  readonly checkpointSchedules: Resource<CheckpointSchedule>;
  readonly migrations: Resource<Migration>;
  readonly checkpointStores: Resource<CheckpointStore>;
  readonly nodeTasks: Resource<NodeTask>;
  readonly pods: Resource<Pod>;
  readonly nodes: Resource<Node>;
  readonly claims: Resource<PersistentVolumeClaim>;
  readonly volumes: Resource<PersistentVolume>;
  readonly namespaces: Resource<Namespace>;
  readonly events: Resource<CoreEvent>;
  readonly storageClasses: Resource<StorageClass>;
  readonly replicaSets: Resource<AnyObject>;
  readonly statefulSets: Resource<AnyObject>;
  readonly jobs: Resource<AnyObject>;
  readonly mutatingPolicies: Resource<AnyObject>;
  readonly mutatingPolicyBindings: Resource<AnyObject>;
}

export function isNodeReady(node: Node): boolean {
  return (
    node.status?.conditions?.some(
      (condition) => condition.type === 'Ready' && condition.status === 'True',
    ) ?? false
  );
}
