// NodeTask: one node's share of the work. The controller writes spec, the agent of spec.nodeName writes status.
// It holds no secret: reads of NodeTasks cannot be confined to a node (design K7).
import type { HookErrorPolicy, HookMethod } from './hook.ts';
import type { Condition, ObjectMeta, Report, TypedObject } from './meta.ts';

/** A container, found by its runtime id: 64 hex digits, checked again on the node (design K11). */
export interface TaskContainer {
  readonly name: string;
  /** `<runtime>://<64 hex digits>` from the pod's status */
  readonly containerID: string;
  /** image digest from the pod's status */
  readonly imageID: string;
}

export interface TaskPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Where a bundle lies: inside the volume that the holder pod of this node has mounted (design K4). */
export interface TaskStore {
  readonly holder: TaskPod;
  readonly holderContainerID: string;
  /** path of the volume inside the holder, `/store` */
  readonly mountPath: string;
  /** bundle directory below the volume: `<prefix>/<namespace>/<checkpoint>-<uid>` */
  readonly bundlePath: string;
}

/** The agent that a bundle is streamed to. */
export interface TaskTransfer {
  readonly address: string;
  readonly port: number;
  /** `sha256:<hex>` of the certificate that it shows */
  readonly fingerprint: string;
  /** bytes per second; as fast as it goes without */
  readonly bandwidthBytes?: number;
}

/** An action as an agent gets it: the container and the address are known. */
export type TaskAction =
  | { readonly exec: { readonly container: TaskContainer; readonly command: readonly string[] } }
  | {
      readonly http: {
        /** of the pod, from its status */
        readonly podIP: string;
        readonly port: number;
        readonly path: string;
        readonly method: HookMethod;
      };
    };

export type TaskHook = TaskAction & {
  readonly onError: HookErrorPolicy;
  readonly timeoutSeconds: number;
};

export interface TaskHooks {
  readonly pre: readonly TaskHook[];
  readonly post: readonly TaskHook[];
}

/** Pages are copied while the application runs, in rounds, until little has changed since the last one. Only with a transfer. */
export interface TaskPreCopy {
  /** longest downtime; the rounds end as soon as what is left fits into it. Absent: when it no longer shrinks */
  readonly maxDowntimeMillis?: number;
}

export interface DumpPayload {
  readonly pod: TaskPod;
  readonly containers: readonly TaskContainer[];
  /** where the bundle goes; this or `transfer` */
  readonly store?: TaskStore;
  readonly transfer?: TaskTransfer;
  readonly preCopy?: TaskPreCopy;
  readonly afterDump: 'Resume' | 'KeepFrozen';
  /** longest freeze that no probe of the pod notices; the agent keeps it without the API server (design K10) */
  readonly freezeLimitMillis: number;
  readonly established: 'Fail' | 'Close' | 'Keep';
  readonly rootfsDiff: 'Changed' | 'None';
  /** whether what is in emptyDir volumes is saved; controllers before this field: it is */
  readonly emptyDirs?: 'Content' | 'None';
  readonly maxEmbeddedBytes: number;
  readonly maxBytes: number;
  readonly dryRun: boolean;
  /** pod manifest as checkpointed, written to the bundle as `pod.dump` */
  readonly podManifest: unknown;
  readonly hooks?: TaskHooks;
}

export interface RestorePayload {
  /** the placeholder pod, or the running one that is rewound */
  readonly pod: TaskPod;
  /** its containers, same names as in the bundle */
  readonly containers: readonly TaskContainer[];
  /** the containers run a program: it is ended first, and their root processes become placeholders */
  readonly inPlace?: boolean;
  /** where the bundle lies; this or `received` */
  readonly store?: TaskStore;
  /** the Receive task of this node that got it */
  readonly received?: { readonly taskUid: string };
  /** sha256 of the bundle's manifest, from the Checkpoint's status */
  readonly bundleDigest: string;
  readonly hooks?: TaskHooks;
  /** asked until it succeeds, once the processes run */
  readonly probe?: TaskAction & { readonly timeoutSeconds: number };
}

export interface ReceivePayload {
  /** the placeholder pod that it is for */
  readonly pod: TaskPod;
  /** of the certificate that the source's agent will show; added as soon as that agent has one */
  readonly senderFingerprint?: string;
}

export interface ThawPayload {
  readonly pod: TaskPod;
  readonly containers: readonly TaskContainer[];
  /** owed since the dump that left it frozen */
  readonly post?: readonly TaskHook[];
}

export interface DeleteBundlePayload {
  readonly store: TaskStore;
}

export interface VerifyPayload {
  readonly store: TaskStore;
  readonly bundleDigest: string;
}

export interface DescribePayload {
  /** id of the agent's container that is asked: a reboot of the node gives it another one */
  readonly containerID: string;
}

export type NodeTaskSpec = {
  readonly nodeName: string;
  readonly owner: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
  /** RFC 3339; the agent gives up then */
  readonly deadline: string;
  readonly cancel?: boolean;
} & (
  | { readonly type: 'Dump'; readonly dump: DumpPayload }
  | { readonly type: 'Restore'; readonly restore: RestorePayload }
  | { readonly type: 'Receive'; readonly receive: ReceivePayload }
  | { readonly type: 'Thaw'; readonly thaw: ThawPayload }
  | { readonly type: 'DeleteBundle'; readonly deleteBundle: DeleteBundlePayload }
  | { readonly type: 'Verify'; readonly verify: VerifyPayload }
  | { readonly type: 'Describe'; readonly describe: DescribePayload }
);

export type NodeTaskState =
  | 'Pending'
  | 'Accepted'
  | 'Running'
  | 'Succeeded'
  | 'Failed'
  | 'Canceled';

export interface TaskError {
  /** one of the closed set in conditions.ts */
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface ContainerResult {
  readonly name: string;
  readonly processes: number;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly rootfsDiffBytes: number;
}

/** What was compared of a restored pod, and what came of it. */
export interface Verification {
  readonly passed: boolean;
  /** one of the closed set in conditions.ts */
  readonly reason: string;
  readonly message: string;
}

/** When the clocks of a node stood at zero, by the clock on its wall: RFC 3339 with milliseconds. */
export interface ClockStarts {
  readonly monotonic: string;
  readonly boottime: string;
}

export interface TaskResult {
  readonly containers?: readonly ContainerResult[];
  readonly freezeMillis?: number;
  readonly restoreMillis?: number;
  readonly frozenAt?: string;
  readonly resumedAt?: string;
  readonly bundleBytes?: number;
  /** sha256 of the manifest */
  readonly bundleDigest?: string;
  readonly requirements?: Readonly<Record<string, unknown>>;
  readonly report?: readonly Report[];
  readonly verification?: Verification;
  readonly clocks?: ClockStarts;
  /** CPU features of the node, those that programs know about, as /proc/cpuinfo names them */
  readonly cpuFeatures?: readonly string[];
}

/** How the other agent of a transfer gets here, or knows this one. */
export interface TransferPoint {
  /** `sha256:<hex>` of the certificate made for this transfer */
  readonly fingerprint: string;
  /** of the receiving side only */
  readonly address?: string;
  readonly port?: number;
}

/** One round of copying while the application runs. */
export interface TaskRound {
  /** from 1 on */
  readonly number: number;
  /** sent to the other node */
  readonly bytes: number;
  /** written to between its beginning and the moment when all of it was there */
  readonly dirtyBytes: number;
  readonly millis: number;
}

export interface NodeTaskStatus {
  readonly state?: NodeTaskState;
  readonly acceptedBy?: { readonly agentPod: string; readonly uid: string };
  /** RFC 3339, renewed every 10 s while Running; the controller gives up on tasks older than 60 s */
  readonly heartbeatTime?: string;
  readonly stage?: string;
  /** the agent does what cannot be called back (Restore: processes may run); never set after `spec.cancel` was */
  readonly committed?: boolean;
  readonly transfer?: TransferPoint;
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  /** of a Dump task with `preCopy` */
  readonly rounds?: readonly TaskRound[];
  readonly result?: TaskResult;
  readonly error?: TaskError;
  readonly conditions?: readonly Condition[];
}

export interface NodeTask extends TypedObject {
  readonly kind: 'NodeTask';
  readonly metadata: ObjectMeta;
  readonly spec: NodeTaskSpec;
  readonly status?: NodeTaskStatus;
}
