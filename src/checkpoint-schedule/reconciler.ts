// CheckpointSchedule: observe, decide, act, bound together for the controller.
import type { ActResult, Gone, ReconcileContext, Reconciler } from '../../kube/controller.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { actOnSchedule } from './act.ts';
import { decideSchedule } from './decide.ts';
import type { ScheduleDecision, ScheduleFacts } from './facts.ts';
import { observeSchedule, type ScheduleCaches } from './observe.ts';

export class ScheduleReconciler implements Reconciler<ScheduleFacts, ScheduleDecision> {
  readonly #view: ClusterView;
  readonly #caches: ScheduleCaches;
  readonly #listener: Listener;

  constructor(view: ClusterView, caches: ScheduleCaches, listener: Listener) {
    this.#view = view;
    this.#caches = caches;
    this.#listener = listener;
  }

  async observe(context: ReconcileContext): Promise<ScheduleFacts | Gone> {
    return await observeSchedule(this.#view, this.#caches, context);
  }

  decide(facts: ScheduleFacts): ScheduleDecision {
    return decideSchedule(facts);
  }

  async act(decision: ScheduleDecision, context: ReconcileContext): Promise<ActResult> {
    return await actOnSchedule(this.#view.resources, this.#listener, decision, context);
  }
}
