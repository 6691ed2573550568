// CheckpointStore: where the bundles of a namespace's Checkpoints lie. Written by users; status by the controller.
import type { Condition, ObjectMeta, TypedObject } from './meta.ts';

export interface CheckpointStoreSpec {
  /** a claim of the same namespace */
  readonly persistentVolumeClaim: { readonly claimName: string };
}

export interface CheckpointStoreStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  /** size of the bound volume, as the claim tells it */
  readonly capacity?: string;
}

export interface CheckpointStore extends TypedObject {
  readonly kind: 'CheckpointStore';
  readonly metadata: ObjectMeta;
  readonly spec: CheckpointStoreSpec;
  readonly status?: CheckpointStoreStatus;
}
