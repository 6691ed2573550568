// Restore: bring a checkpointed pod back. Written by users; status by the controller.
import type { Action, RestoreHooks } from './hook.ts';
import type { Condition, ObjectMeta, Report, TypedObject } from './meta.ts';

/** For one container, or for all restored ones where none is named. */
export interface EnvOverride {
  readonly container?: string;
  readonly name: string;
  readonly value: string;
}

export interface ResourcesOverride {
  readonly container?: string;
  readonly requests?: Readonly<Record<string, number | string>>;
  readonly limits?: Readonly<Record<string, number | string>>;
}

/** Where the new pod differs from the saved one. */
export interface PodOverrides {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** seen by processes started later: the restored ones keep the environment in their memory */
  readonly env?: readonly EnvOverride[];
  readonly resources?: readonly ResourcesOverride[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
}

export interface NewPod {
  /** default: the Restore's own name */
  readonly name?: string;
  /** default: the scheduler chooses */
  readonly nodeName?: string;
  /** nodes that the scheduler must not choose */
  readonly excludedNodeNames?: readonly string[];
  readonly overrides?: PodOverrides;
}

/** Controllers whose next replica can become the restored pod. */
export type ReplicaOwnerKind = 'ReplicaSet' | 'StatefulSet' | 'Job';

/** The next replica that a controller makes. */
export interface AdoptedReplica {
  /** default: the controller of the saved pod */
  readonly ownerRef?: { readonly kind: ReplicaOwnerKind; readonly name: string };
  /** default: the saved pod's name for a StatefulSet, else the Restore's own */
  readonly podName?: string;
  readonly nodeName?: string;
  readonly excludedNodeNames?: readonly string[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
}

/** A running pod that becomes again what it was. */
export interface RewoundPod {
  readonly podRef: {
    readonly name: string;
    /** only this very pod */
    readonly uid?: string;
  };
}

export type RestoreTarget =
  | { readonly type?: 'NewPod'; readonly newPod?: NewPod }
  | { readonly type: 'Adopt'; readonly adopt?: AdoptedReplica }
  | { readonly type: 'InPlace'; readonly inPlace?: RewoundPod };

export interface RestoreSpec {
  readonly checkpointRef: { readonly name: string };
  readonly target?: RestoreTarget;
  readonly placement?: Placement;
  /** asked inside the new pod before its processes are rebuilt and after they run */
  readonly hooks?: RestoreHooks;
  readonly verify?: VerifySpec;
  readonly timeoutSeconds?: number;
  readonly cancel?: boolean;
}

/** What is asked besides of the restored pod before it counts as restored; the bundle is always checked. */
export interface VerifySpec {
  /** asked again until it succeeds or `timeoutSeconds` are over */
  readonly probe?: Action & { readonly timeoutSeconds?: number };
}

/** When the new pod is started: once the bundle is stored, or as soon as the Checkpoint is accepted. */
export type Placement = 'AfterCheckpoint' | 'Ahead';

/** The defaults of the schema, for objects that did not pass through the API server. */
export const RESTORE_DEFAULTS = {
  targetType: 'NewPod',
  placement: 'AfterCheckpoint',
  timeoutSeconds: 600,
  probeTimeoutSeconds: 30,
  cancel: false,
} as const;

/** What the next replica of a controller is made into by the admission policy, while the Restore waits for it. */
export interface Adoption {
  readonly ownerUID: string;
  readonly podName: string;
  /** only a replica that has all of these */
  readonly selector: Readonly<Record<string, string>>;
  /** added to those that its controller gives it */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** a core/v1 PodSpec, in place of its own */
  readonly spec: Readonly<Record<string, unknown>>;
  /** the API server was seen to do so */
  readonly inForce?: boolean;
}

export interface RestoreStatus {
  readonly observedGeneration?: number;
  /** for people; programs read conditions */
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  readonly pod?: { readonly name: string; readonly uid?: string; readonly node?: string };
  readonly adoption?: Adoption;
  readonly containers?: readonly { readonly name: string; readonly processes: number }[];
  readonly timing?: {
    readonly startTime?: string;
    readonly completionTime?: string;
    readonly restoreMillis?: number;
    /** when the processes ran again, by the clock of the new pod's node */
    readonly restoredAt?: string;
  };
  readonly progress?: {
    readonly stage: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  };
  /** attempts so far, the present one included */
  readonly attempts?: number;
  readonly report?: readonly Report[];
}

export interface Restore extends TypedObject {
  readonly kind: 'Restore';
  readonly metadata: ObjectMeta;
  readonly spec: RestoreSpec;
  readonly status?: RestoreStatus;
}
