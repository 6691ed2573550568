// CheckpointGroup: save several pods at one moment. Written by users; status by the controller.
import type { Hooks } from './hook.ts';
import type { Condition, LabelSelector, ObjectMeta, TypedObject } from './meta.ts';

export interface CheckpointGroupSpec {
  /** running pods of this namespace, as they are when the group is accepted */
  readonly selector: LabelSelector;
  readonly storeRef?: { readonly name: string };
  readonly limits?: {
    readonly timeoutSeconds?: number;
    readonly maxFreezeSeconds?: number;
  };
  /** asked of each pod: before it is stopped, and once all run on */
  readonly hooks?: Hooks;
  readonly cancel?: boolean;
}

/** The defaults of the schema, for objects that did not pass through the API server. */
export const GROUP_DEFAULTS = { timeoutSeconds: 300, cancel: false } as const;

/** Bounds the work of one barrier. */
export const MAX_MEMBERS = 32;

export interface GroupMember {
  readonly podName: string;
  readonly podUID: string;
  /** the Checkpoint that saves it, made by the group and gone with it */
  readonly checkpointName: string;
}

export interface CheckpointGroupStatus {
  readonly observedGeneration?: number;
  /** for people; programs read conditions */
  readonly phase?: string;
  readonly conditions?: readonly Condition[];
  /** fixed when the group is accepted */
  readonly members?: readonly GroupMember[];
  readonly timing?: {
    readonly startTime?: string;
    readonly completionTime?: string;
    /** when the first of them stood still */
    readonly firstFrozenAt?: string;
    /** when the last of them stood still: from here until `releasedAt` none of them ran */
    readonly lastFrozenAt?: string;
    readonly releasedAt?: string;
  };
  /** set once: why everything is being undone, which ends with Failed */
  readonly failure?: { readonly reason: string; readonly message: string };
}

export interface CheckpointGroup extends TypedObject {
  readonly kind: 'CheckpointGroup';
  readonly metadata: ObjectMeta;
  readonly spec: CheckpointGroupSpec;
  readonly status?: CheckpointGroupStatus;
}
