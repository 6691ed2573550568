// Does one step for a Restore: first to the cluster, then to the status, then an event if it is news.
import { FINALIZERS, RESTORED_POD_CONDITION } from '../../crds/names.ts';
import { ApiError, isForbidden, isInvalid, isPolicyUnready } from '../../kube/api-error.ts';
import { formatTime } from '../../kube/clock.ts';
import { type ActResult, again, type ReconcileContext } from '../../kube/controller.ts';
import { ClusterActions } from '../cluster/actions.ts';
import type { Pod } from '../cluster/pod.ts';
import { isClusterStep, performStep } from '../cluster/steps.ts';
import { actionName, transitionEvents } from '../cluster/transitions.ts';
import type { ClusterResources } from '../cluster/types.ts';
import type { Listener } from '../observability/listener.ts';
import { fail, isFinishedRestore, type RestoreFacts, type RestoreStep } from './facts.ts';
import { performAdoption } from './act-adoption.ts';
import { subjectPod } from './in-place.ts';
import { restoreStatus } from './status.ts';

const SOON_MILLIS = 50;
/** Steps after which somebody else has to act; events usually come much sooner. */
const PATIENCE_MILLIS: Readonly<Partial<Record<RestoreStep['do'], number>>> = {
  'create-placeholder': 1_000,
  'create-holder': 1_000,
  'create-task': 10_000,
  'cancel-task': 10_000,
  'mark-restored': 1_000,
  placed: 1_000,
  'take-replica': 200,
  progress: 10_000,
};

export interface RestoreDecision {
  readonly facts: RestoreFacts;
  readonly step: RestoreStep;
}

export async function actOnRestore(
  resources: ClusterResources,
  listener: Listener,
  decision: RestoreDecision,
  { signal }: ReconcileContext,
): Promise<ActResult | undefined> {
  const { facts } = decision;
  const { restore, nowMillis } = facts;
  const actions = new ClusterActions(resources, signal);
  const step = await perform(resources, actions, decision, signal);
  const status = restoreStatus(restore, step, subjectPod(facts), nowMillis);
  if (await actions.applyStatus(resources.restores, restore, status)) {
    const action = actionName(step.do);
    const { conditions } = status;
    const pod = subjectPod(facts);
    for (const event of transitionEvents({ object: restore, conditions, action, pod })) {
      listener.happened(event);
    }
    const after = { ...restore, status };
    if (isFinishedRestore(after) && !isFinishedRestore(restore)) {
      listener.restoreEnded(after);
    }
  }
  return againAfter(step);
}

/** @returns the step, or the failure it turned into */
async function perform(
  resources: ClusterResources,
  actions: ClusterActions,
  { facts, step }: RestoreDecision,
  signal: AbortSignal,
): Promise<RestoreStep> {
  if (step.do === 'mark-restored') {
    await markRestored(resources, step.pod, facts.nowMillis, signal);
  }
  await performAdoption(resources, facts.restore, step, signal);
  if (!isClusterStep(step)) {
    return step;
  }
  const own = {
    resource: resources.restores,
    object: facts.restore,
    finalizer: FINALIZERS.restore,
  };
  try {
    await performStep(actions, own, step);
  } catch (error) {
    const refused = (isForbidden(error) || isInvalid(error)) && !isPolicyUnready(error);
    if (step.do === 'create-placeholder' && refused && error instanceof ApiError) {
      return fail('PodRejected', error.detail);
    }
    throw error;
  }
  return step;
}

/** The readiness gate: the pod may get traffic from now on. */
async function markRestored(
  resources: ClusterResources,
  pod: Pod,
  nowMillis: number,
  signal: AbortSignal,
): Promise<void> {
  const { namespace = '', name, uid = '' } = pod.metadata;
  const condition = {
    type: RESTORED_POD_CONDITION,
    status: 'True',
    reason: 'Restored',
    message: 'the processes were rebuilt and run',
    lastTransitionTime: formatTime(nowMillis),
  } as const;
  await resources.pods.applyStatus(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, uid },
      status: { conditions: [condition] },
    },
    { signal },
  );
}

function againAfter(step: RestoreStep): ActResult | undefined {
  if (step.do === 'wait' || step.do === 'nothing') {
    return again(step.againAfterMillis);
  }
  return step.do === 'remove-finalizer'
    ? undefined
    : { requeueAfterMillis: PATIENCE_MILLIS[step.do] ?? SOON_MILLIS };
}
