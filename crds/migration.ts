// Migration: move a running pod to another node. Written by users; status by the controller.
import type { Quantity } from './checkpoint.ts';
import type { Condition, ObjectMeta, TypedObject } from './meta.ts';

/**
 * Cold: through the store. Direct: node to node. PreCopy: the same, most pages while the pod runs. PostCopy is a reserved name:
 * refused until it exists.
 */
export type Strategy = 'Cold' | 'Direct' | 'PreCopy' | 'PostCopy';

/** Exactly one member. */
export interface MigrationTarget {
  readonly nodeName?: string;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** the scheduler chooses, never the source's node */
  readonly any?: object;
}

export interface MigrationSpec {
  readonly podRef: {
    readonly name: string;
    /** guard: only this very pod */
    readonly uid?: string;
  };
  readonly target: MigrationTarget;
  readonly newPodName?: string;
  readonly strategy?: Strategy;
  readonly storeRef?: { readonly name: string };
  /** Direct and PreCopy only: bytes per second of the stream; as fast as it goes without */
  readonly bandwidth?: Quantity;
  readonly limits?: {
    readonly completionTimeoutSeconds?: number;
    readonly maxDowntimeSeconds?: number;
  };
  /** of emptyDirs: it goes along, is given up, or such a pod is refused; that of ephemeral volumes cannot go along */
  readonly emptyDirContent?: 'Keep' | 'Refuse' | 'Discard';
  readonly onFailure?: 'ResumeSource';
  /** whether the Checkpoint that was made on the way goes with the end of the Migration */
  readonly checkpointPolicy?: 'Delete' | 'Retain';
  readonly cancel?: boolean;
}

/** The defaults of the schema, for objects that did not pass through the API server. */
export const MIGRATION_DEFAULTS = {
  strategy: 'Cold',
  completionTimeoutSeconds: 600,
  emptyDirContent: 'Keep',
  onFailure: 'ResumeSource',
  checkpointPolicy: 'Delete',
  cancel: false,
} as const;

/** One pass over the memory; the last one, of Cold and Direct the only one, with the source frozen. */
export interface MigrationRound {
  readonly number: number;
  readonly bytes: number;
  /** what had changed again when it was over */
  readonly dirtyBytes: number;
  readonly millis: number;
}

export interface MigrationStatus {
  readonly observedGeneration?: number;
  /** for people; programs read conditions */
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  readonly source?: {
    readonly podUID: string;
    readonly node: string;
    readonly ownerKind?: string;
    readonly ownerName?: string;
  };
  readonly target?: {
    readonly podName: string;
    readonly podUID?: string;
    readonly node?: string;
  };
  readonly checkpointName?: string;
  readonly restoreName?: string;
  /** how far the saving or the stream is */
  readonly progress?: {
    readonly stage: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  };
  readonly rounds?: readonly MigrationRound[];
  readonly timing?: {
    readonly startTime?: string;
    readonly completionTime?: string;
    /** by the clock of the source's node */
    readonly frozenAt?: string;
    /** by the clock of the target's node */
    readonly restoredAt?: string;
  };
  /** how long no process of the pod ran */
  readonly downtimeMillis?: number;
  /** `downtimeMillis` for people */
  readonly downtime?: string;
  /** set once: why the Migration is being undone, which ends with Failed */
  readonly failure?: { readonly reason: string; readonly message: string };
}

export interface Migration extends TypedObject {
  readonly kind: 'Migration';
  readonly metadata: ObjectMeta;
  readonly spec: MigrationSpec;
  readonly status?: MigrationStatus;
}
