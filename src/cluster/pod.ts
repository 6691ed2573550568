// The parts of core/v1 that the controller reads or writes. Members that are not named here survive copying.
import type { Condition, ObjectMeta, TypedObject } from '../../crds/meta.ts';

export interface Probe {
  readonly httpGet?: object;
  readonly grpc?: object;
  readonly exec?: { readonly command?: readonly string[] };
  readonly tcpSocket?: object;
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly imagePullPolicy?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, number | string>>;
    readonly limits?: Readonly<Record<string, number | string>>;
  };
  readonly volumeMounts?: readonly VolumeMount[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly postStart?: object; readonly preStop?: object };
  /** of init containers: `Always` makes a sidecar; of others: Kubernetes 1.35 and later */
  readonly restartPolicy?: string;
  readonly securityContext?: object;
}

export interface Volume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly emptyDir?: object;
  readonly ephemeral?: object;
  readonly image?: object;
}

export interface NodeSelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly NodeSelectorRequirement[];
  readonly matchFields?: readonly NodeSelectorRequirement[];
}

export interface Affinity {
  readonly nodeAffinity?: {
    readonly requiredDuringSchedulingIgnoredDuringExecution?: {
      readonly nodeSelectorTerms: readonly NodeSelectorTerm[];
    };
  };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly nodeName?: string;
  readonly shareProcessNamespace?: boolean;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly affinity?: Affinity;
  readonly tolerations?: readonly object[];
  readonly hostname?: string;
  readonly hostPID?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostIPC?: boolean;
  readonly restartPolicy?: string;
  readonly readinessGates?: readonly { readonly conditionType: string }[];
  readonly os?: { readonly name: string };
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: object;
}

export interface ContainerStatus {
  readonly name: string;
  readonly containerID?: string;
  readonly imageID?: string;
  readonly ready?: boolean;
  readonly started?: boolean;
  readonly restartCount?: number;
  readonly state?: {
    readonly running?: { readonly startedAt?: string };
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: {
      readonly reason?: string;
      readonly message?: string;
      readonly exitCode?: number;
    };
  };
}

export interface PodStatus {
  readonly podIP?: string;
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly (Pick<Condition, 'type' | 'status'> & Partial<Condition>)[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly ephemeralContainerStatuses?: readonly ContainerStatus[];
}

export interface Pod extends TypedObject {
  readonly kind: 'Pod';
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
  readonly status?: PodStatus;
}

/** Init containers that run beside the others for the whole life of the pod. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** Containers that can run now: the ordinary ones and the sidecars, in the pod's order. */
export function longRunningContainers(spec: PodSpec): readonly Container[] {
  return [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
}

export function statusOfContainer(pod: Pod, name: string): ContainerStatus | undefined {
  return [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ].find((status) => status.name === name);
}

export function isPodReady(pod: Pod): boolean {
  return hasCondition(pod, 'Ready');
}

export function hasCondition(pod: Pod, type: string): boolean {
  return (
    pod.status?.conditions?.some(
      (condition) => condition.type === type && condition.status === 'True',
    ) ?? false
  );
}

/** Why a container of the pod does not start, if it is stuck: `reason: message`. */
export function stuckContainer(pod: Pod): { reason: string; message: string } | undefined {
  const statuses = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ];
  const waiting = statuses
    .map((status) => ({ name: status.name, waiting: status.state?.waiting }))
    .find(
      ({ waiting: w }) => !['', 'ContainerCreating', 'PodInitializing'].includes(w?.reason ?? ''),
    );
  if (waiting?.waiting === undefined) {
    return undefined;
  }
  const { reason = '', message = '' } = waiting.waiting;
  return { reason, message: `container ${waiting.name}: ${reason}: ${message}` };
}
