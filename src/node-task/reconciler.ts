// Sweeps NodeTasks whose owner is gone. They live in another namespace, so the garbage collector cannot.
import type { NodeTask } from '../../crds/node-task.ts';
import type { TypedObject } from '../../crds/meta.ts';
import {
  type ActResult,
  again,
  GONE,
  type Gone,
  type ReconcileContext,
  type Reconciler,
} from '../../kube/controller.ts';
import { parseKey } from '../../kube/keys.ts';
import { ClusterActions } from '../cluster/actions.ts';
import type { ClusterView } from '../cluster/view.ts';
import { DEADLINE_GRACE_MILLIS, isFinished } from './task.ts';

/** An agent that was asked to stop has this long; it undoes much faster. */
const STOP_MILLIS = 5 * 60_000;
const LOOK_MILLIS = 30_000;

export interface SweepFacts {
  readonly nowMillis: number;
  readonly task: NodeTask;
  readonly ownerExists: boolean;
}

export type SweepStep =
  | { readonly do: 'leave'; readonly againAfterMillis?: number }
  | { readonly do: 'cancel'; readonly task: NodeTask }
  | { readonly do: 'remove'; readonly task: NodeTask };

/** Pure. */
export function decideSweep({ nowMillis, task, ownerExists }: SweepFacts): SweepStep {
  if (ownerExists) {
    // Its owner takes care of it.
    return { do: 'leave' };
  }
  if (isFinished(task) || task.status?.acceptedBy === undefined) {
    // A thaw is owed to the application, whether or not somebody still asks for it.
    const owed = task.spec.type === 'Thaw' && !isFinished(task);
    return owed && !isOver(task, nowMillis)
      ? { do: 'leave', againAfterMillis: LOOK_MILLIS }
      : { do: 'remove', task };
  }
  if (task.spec.type !== 'Thaw' && task.spec.cancel !== true) {
    return { do: 'cancel', task };
  }
  return isOver(task, nowMillis)
    ? { do: 'remove', task }
    : { do: 'leave', againAfterMillis: LOOK_MILLIS };
}

/** Neither by itself nor asked to has it ended: its agent is gone for good. */
function isOver(task: NodeTask, nowMillis: number): boolean {
  return nowMillis > Date.parse(task.spec.deadline) + DEADLINE_GRACE_MILLIS + STOP_MILLIS;
}

export class NodeTaskReconciler implements Reconciler<SweepFacts, SweepStep> {
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  async observe({ key, signal }: ReconcileContext): Promise<SweepFacts | Gone> {
    const { resources, clock } = this.#view;
    const task = await resources.nodeTasks.find(parseKey(key), { signal });
    if (task === undefined) {
      return GONE;
    }
    const owner = await this.#owner(task, signal);
    const ownerExists = owner?.metadata.uid === task.spec.owner.uid;
    return { nowMillis: clock.now(), task, ownerExists };
  }

  decide(facts: SweepFacts): SweepStep {
    return decideSweep(facts);
  }

  async act(step: SweepStep, { signal }: ReconcileContext): Promise<ActResult | undefined> {
    const actions = new ClusterActions(this.#view.resources, signal);
    switch (step.do) {
      case 'leave':
        return again(step.againAfterMillis);
      case 'cancel':
        await actions.cancelTask(step.task);
        return { requeueAfterMillis: LOOK_MILLIS };
      case 'remove':
        await actions.deleteTask(step.task);
        return undefined;
    }
  }

  async #owner(task: NodeTask, signal: AbortSignal): Promise<TypedObject | undefined> {
    const { kind, namespace, name } = task.spec.owner;
    const { checkpoints, restores, pods } = this.#view.resources;
    switch (kind) {
      case 'Checkpoint':
        return await checkpoints.find({ namespace, name }, { signal });
      case 'Restore':
        return await restores.find({ namespace, name }, { signal });
      case 'Pod':
        return await pods.find({ namespace, name }, { signal });
      default:
        return undefined;
    }
  }
}
