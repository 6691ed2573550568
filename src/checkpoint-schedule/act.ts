// Does what was decided for a CheckpointSchedule: Checkpoints first, then the status, then what is beyond retention.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import { REASONS } from '../../crds/conditions.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../../kube/api-error.ts';
import type { ActResult, ReconcileContext } from '../../kube/controller.ts';
import { type Occurrence, referenceTo } from '../../kube/events.ts';
import { ClusterActions, ignoring } from '../cluster/actions.ts';
import { transitionEvents } from '../cluster/transitions.ts';
import type { ClusterResources } from '../cluster/types.ts';
import type { Listener } from '../observability/listener.ts';
import type { News, ScheduleDecision } from './facts.ts';

/** Deletions and creations at once; the API server has others to serve. */
const PARALLEL = 8;

/**
 * A crash before the status is written leads to the same decision again: the same names, or pods that the window
 * leaves out.
 */
export async function actOnSchedule(
  resources: ClusterResources,
  listener: Listener,
  decision: ScheduleDecision,
  { signal }: ReconcileContext,
): Promise<ActResult> {
  const { schedule, cancel, create, status, remove } = decision;
  const { checkpoints, checkpointSchedules } = resources;
  await inTurns(cancel, async ({ metadata: { namespace, name } }) => {
    const asked = checkpoints.mergePatch(
      { namespace, name },
      { spec: { cancel: true } },
      { signal },
    );
    await ignoring(isNotFound, asked);
  });
  await inTurns(create, async (checkpoint) => {
    await ignoring(isAlreadyExists, checkpoints.create(checkpoint, { signal }));
  });
  const actions = new ClusterActions(resources, signal);
  const written = await actions.applyStatus(checkpointSchedules, schedule, status);
  await inTurns(remove, async ({ metadata: { namespace, name, uid = '' } }) => {
    const gone = (error: unknown): boolean => isNotFound(error) || isConflict(error);
    await ignoring(gone, checkpoints.delete({ namespace, name }, { uid, signal }));
  });
  if (written) {
    const { conditions } = status;
    const action = 'Schedule';
    for (const event of transitionEvents({
      object: schedule,
      conditions,
      action,
      pod: undefined,
    })) {
      listener.happened(event);
    }
  }
  decision.news.forEach((news) => listener.happened(eventOf(decision, news)));
  return { requeueAfterMillis: decision.againAfterMillis };
}

function eventOf({ schedule }: ScheduleDecision, { reason, note }: News): Occurrence {
  const type = REASONS[reason].class === 'success' ? 'Normal' : 'Warning';
  return { regarding: referenceTo(schedule), type, reason, action: 'Schedule', note };
}

async function inTurns(
  some: readonly Checkpoint[],
  work: (one: Checkpoint) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < some.length; start += PARALLEL) {
    await Promise.all(some.slice(start, start + PARALLEL).map(work));
  }
}
