// The steps that change the cluster, the same for every kind, and doing them.
import type { TypedObject } from '../../crds/meta.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import type { Resource } from '../../kube/resource.ts';
import type { HolderNeed } from '../holder/need.ts';
import { isNotFound } from '../../kube/api-error.ts';
import { type ClusterActions, ignoring } from './actions.ts';
import type { Pod } from './pod.ts';

export type ClusterStep =
  | { readonly do: 'add-finalizer' }
  /** `orphaned`: what stays behind */
  | { readonly do: 'remove-finalizer'; readonly orphaned?: string }
  | { readonly do: 'create-holder'; readonly pod: Pod }
  | { readonly do: 'touch-holder'; readonly pod: Pod; readonly lastUsed: string }
  | { readonly do: 'release-holder'; readonly pod: Pod }
  | { readonly do: 'create-placeholder'; readonly pod: Pod }
  | { readonly do: 'delete-placeholder'; readonly pod: Pod }
  | { readonly do: 'delete-source'; readonly pod: Pod }
  | { readonly do: 'create-task'; readonly task: NodeTask }
  | { readonly do: 'cancel-task'; readonly task: NodeTask }
  | { readonly do: 'delete-task'; readonly task: NodeTask }
  /** tells the agent that receives a bundle whom to let in */
  | { readonly do: 'introduce'; readonly task: NodeTask; readonly fingerprint: string };

const CLUSTER_STEPS: Readonly<Record<ClusterStep['do'], true>> = {
  'add-finalizer': true,
  'remove-finalizer': true,
  'create-holder': true,
  'touch-holder': true,
  'release-holder': true,
  'create-placeholder': true,
  'delete-placeholder': true,
  'delete-source': true,
  'create-task': true,
  'cancel-task': true,
  'delete-task': true,
  introduce: true,
};

/** A frozen pod, or a placeholder, cannot answer SIGTERM: without this its whole grace period would pass. */
const SHORT_GRACE_SECONDS = 1;

export function isClusterStep<Step extends { readonly do: string }>(
  step: Step,
): step is Extract<Step, ClusterStep> {
  return Object.hasOwn(CLUSTER_STEPS, step.do);
}

/** Whose finalizer is meant. */
export interface FinalizedObject<T extends TypedObject> {
  readonly resource: Resource<T>;
  readonly object: T;
  readonly finalizer: string;
}

export async function performStep<T extends TypedObject>(
  actions: ClusterActions,
  { resource, object, finalizer }: FinalizedObject<T>,
  step: ClusterStep,
): Promise<void> {
  const others = (object.metadata.finalizers ?? []).filter((name) => name !== finalizer);
  switch (step.do) {
    case 'add-finalizer':
      return await actions.setFinalizers(resource, object.metadata, [...others, finalizer]);
    case 'remove-finalizer':
      return await actions.setFinalizers(resource, object.metadata, others);
    case 'create-holder':
    case 'create-placeholder':
      return await actions.createPod(step.pod);
    case 'touch-holder':
      return await actions.touchHolder(step.pod, step.lastUsed);
    case 'release-holder':
      return await actions.deletePod(step.pod, true);
    case 'delete-placeholder':
      // One that a Job has made: its end says nothing of the application.
      await ignoring(isNotFound, actions.uncountPod(step.pod));
      return await actions.deletePod(step.pod, false, SHORT_GRACE_SECONDS);
    case 'delete-source':
      return await actions.deletePod(step.pod, false, SHORT_GRACE_SECONDS);
    case 'create-task':
      return await actions.createTask(step.task);
    case 'cancel-task':
      return await actions.cancelTask(step.task);
    case 'delete-task':
      return await actions.deleteTask(step.task);
    case 'introduce':
      return await actions.introduceSender(step.task, step.fingerprint);
  }
}

/** What a missing volume holder means for the step to take. */
export function holderStep(need: Exclude<HolderNeed, { need: 'nothing' }>):
  | Extract<ClusterStep, { do: 'create-holder' | 'touch-holder' | 'release-holder' }>
  | {
      readonly do: 'wait';
      readonly reason: 'PreparingStore' | 'HolderNotStarting';
      readonly facts: string;
      readonly againAfterMillis: number;
    } {
  switch (need.need) {
    case 'create':
      return { do: 'create-holder', pod: need.pod };
    case 'release':
      return { do: 'release-holder', pod: need.pod };
    case 'touch':
      return { do: 'touch-holder', pod: need.pod, lastUsed: need.lastUsed };
    case 'wait':
      return { do: 'wait', reason: need.reason, facts: need.message, againAfterMillis: 1_000 };
  }
}
