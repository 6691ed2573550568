// Checkpoint: save this running pod. Written by users; status by the controller.
import type { Hooks } from './hook.ts';
import type { Condition, ObjectMeta, Report, TypedObject } from './meta.ts';
import type { ContainerResult, TaskRound } from './node-task.ts';

/** What becomes of the source once it is captured. */
export type AfterDump = 'Resume' | 'Stop' | 'DeletePod';
export type EstablishedSockets = 'Fail' | 'Close' | 'Keep';
export type RootfsDiff = 'Changed' | 'None';
export type EmptyDirs = 'Content' | 'None';
export type CheckpointMode = 'Execute' | 'DryRun';
export type DeletionPolicy = 'Delete' | 'Retain';

/** Bytes: a number, or a quantity such as `512Mi`. */
export type Quantity = number | string;

export interface SourcePod {
  readonly name: string;
  /** guard: only this very pod */
  readonly uid?: string;
  /** none given: all running containers, sidecars included */
  readonly containers?: readonly string[];
}

/** As users write it: everything but `source` has a default in the schema. */
export interface CheckpointSpec {
  readonly source: { readonly pod: SourcePod };
  readonly storeRef?: { readonly name: string };
  /** set by a Migration: the bundle is streamed to the node of its Restore and stored nowhere */
  readonly transfer?: {
    /** bytes per second; as fast as it goes without */
    readonly bandwidth?: Quantity;
    /** pages go ahead in rounds, while the pod runs */
    readonly preCopy?: boolean;
  };
  readonly afterDump?: AfterDump;
  readonly include?: { readonly rootfsDiff?: RootfsDiff; readonly emptyDirs?: EmptyDirs };
  readonly sockets?: { readonly established?: EstablishedSockets };
  readonly openResources?: { readonly maxEmbeddedBytes?: Quantity };
  readonly limits?: {
    readonly timeoutSeconds?: number;
    readonly maxFreezeSeconds?: number;
    readonly maxBytes?: Quantity;
  };
  /** asked of the application before and after it stands still; see docs/hooks.md */
  readonly hooks?: Hooks;
  readonly mode?: CheckpointMode;
  readonly retention?: {
    readonly deletionPolicy?: DeletionPolicy;
    /** no schedule deletes it */
    readonly hold?: boolean;
  };
  /** accepted and prepared, but nothing is stopped until this is false */
  readonly suspend?: boolean;
  readonly cancel?: boolean;
}

/** The defaults of the schema, for objects that did not pass through the API server. */
export const CHECKPOINT_DEFAULTS = {
  afterDump: 'Resume',
  rootfsDiff: 'Changed',
  emptyDirs: 'Content',
  established: 'Close',
  maxEmbeddedBytes: '512Mi',
  timeoutSeconds: 300,
  mode: 'Execute',
  deletionPolicy: 'Delete',
  hold: false,
  suspend: false,
  cancel: false,
} as const;

/** The pod as it was when it was saved: what a Restore makes its new pod from. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  /** a core/v1 PodSpec */
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface CheckpointedContainer extends ContainerResult {
  /** as the runtime named it; comparable between nodes by its digest only */
  readonly imageID: string;
}

/** The bundle on the volume of `status.store`. */
export interface BundleLocation {
  /** directory below the volume's root */
  readonly path: string;
  /** `sha256:<hex>` of the bundle's manifest */
  readonly digest: string;
  readonly bytes: number;
  /** `bytes` for people */
  readonly size: string;
}

/** Whether a node could take the pod, as far as the API server knows. */
export interface Candidate {
  readonly name: string;
  readonly suitable: 'Yes' | 'No' | 'Unknown';
  readonly message: string;
}

/** What a dry run expects of a real one. */
export interface Estimate {
  readonly bytes: number;
  /** `bytes` for people */
  readonly size: string;
  readonly freezeMillis: number;
  /** `freezeMillis` for people */
  readonly freeze: string;
  readonly nodes: readonly Candidate[];
}

export interface CheckpointStatus {
  readonly observedGeneration?: number;
  /** for people; programs read conditions */
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  readonly source?: {
    readonly podUID: string;
    readonly node: string;
    readonly ownerKind?: string;
    readonly ownerName?: string;
    /** what will be saved; `imageID` as the runtime of that node names it */
    readonly containers?: readonly { readonly name: string; readonly imageID: string }[];
  };
  readonly podTemplate?: PodTemplate;
  readonly containers?: readonly CheckpointedContainer[];
  readonly requirements?: Readonly<Record<string, unknown>>;
  /** fixed when the Checkpoint is accepted: the store object may change or go later */
  readonly store?: { readonly name: string; readonly claimName: string };
  readonly bundle?: BundleLocation;
  /** the Checkpoint whose bundle this one needs besides its own; complete by itself without */
  readonly parent?: { readonly name: string };
  readonly timing?: {
    readonly startTime?: string;
    readonly completionTime?: string;
    readonly frozenAt?: string;
    readonly resumedAt?: string;
    readonly freezeMillis?: number;
    /** how long the pod may stand still: no probe notices it, and `limits` allows it */
    readonly freezeLimitMillis?: number;
    /** `freezeMillis` for people */
    readonly freeze?: string;
  };
  readonly progress?: {
    readonly stage: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  };
  /** of pages that went ahead while the pod ran */
  readonly rounds?: readonly TaskRound[];
  /** of a dry run that found nothing in the way */
  readonly estimate?: Estimate;
  /** attempts so far, the present one included */
  readonly attempts?: number;
  readonly report?: readonly Report[];
}

export interface Checkpoint extends TypedObject {
  readonly kind: 'Checkpoint';
  readonly metadata: ObjectMeta;
  readonly spec: CheckpointSpec;
  readonly status?: CheckpointStatus;
}
