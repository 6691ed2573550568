// Does one step for a Checkpoint: first to the cluster, then to the status, then an event if it is news.
import { FINALIZERS } from '../../crds/names.ts';
import { type ActResult, again, type ReconcileContext } from '../../kube/controller.ts';
import { referenceTo } from '../../kube/events.ts';
import { ClusterActions } from '../cluster/actions.ts';
import type { ClusterResources } from '../cluster/types.ts';
import { isClusterStep, performStep } from '../cluster/steps.ts';
import { actionName, transitionEvents } from '../cluster/transitions.ts';
import type { Listener } from '../observability/listener.ts';
import {
  acceptedPod,
  type CheckpointFacts,
  type CheckpointStep,
  isFinishedCheckpoint,
} from './facts.ts';
import { checkpointStatus } from './status.ts';

const SOON_MILLIS = 50;
/** Steps after which somebody else has to act; events usually come much sooner. */
const PATIENCE_MILLIS: Readonly<Partial<Record<CheckpointStep['do'], number>>> = {
  'create-holder': 1_000,
  'create-task': 10_000,
  'cancel-task': 10_000,
  progress: 10_000,
};

export interface CheckpointDecision {
  readonly facts: CheckpointFacts;
  readonly step: CheckpointStep;
}

export async function actOnCheckpoint(
  resources: ClusterResources,
  listener: Listener,
  { facts, step }: CheckpointDecision,
  { signal }: ReconcileContext,
): Promise<ActResult | undefined> {
  const actions = new ClusterActions(resources, signal);
  const { checkpoint } = facts;
  if (isClusterStep(step)) {
    const own = {
      resource: resources.checkpoints,
      object: checkpoint,
      finalizer: FINALIZERS.checkpoint,
    };
    await performStep(actions, own, step);
  }
  const status = checkpointStatus(checkpoint, step, facts.nowMillis);
  const written = await actions.applyStatus(resources.checkpoints, checkpoint, status);
  if (written) {
    tell(listener, { facts, step }, status);
  }
  if (step.do === 'remove-finalizer' && step.orphaned !== undefined) {
    const note = `the bundle stays on the volume: ${step.orphaned}`;
    const regarding = referenceTo(checkpoint);
    const what = { type: 'Warning', reason: 'BundleOrphaned', action: 'Delete', note } as const;
    listener.happened({ regarding, ...what });
  }
  return againAfter(step);
}

function tell(
  listener: Listener,
  { facts, step }: CheckpointDecision,
  status: NonNullable<CheckpointFacts['checkpoint']['status']>,
): void {
  const { checkpoint } = facts;
  const pod = acceptedPod(facts);
  const action = actionName(step.do);
  const { conditions } = status;
  for (const event of transitionEvents({ object: checkpoint, conditions, action, pod })) {
    listener.happened(event);
  }
  const after = { ...checkpoint, status };
  if (isFinishedCheckpoint(after) && !isFinishedCheckpoint(checkpoint)) {
    listener.checkpointEnded(after);
  }
}

/** After a step that changes something here and now, the next one is due at once. */
function againAfter(step: CheckpointStep): ActResult | undefined {
  if (step.do === 'wait' || step.do === 'nothing') {
    return again(step.againAfterMillis);
  }
  return step.do === 'remove-finalizer'
    ? undefined
    : { requeueAfterMillis: PATIENCE_MILLIS[step.do] ?? SOON_MILLIS };
}
