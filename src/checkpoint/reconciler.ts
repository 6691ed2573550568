// Checkpoint: observe, decide, act, bound together for the controller.
import type { ActResult, Gone, ReconcileContext, Reconciler } from '../../kube/controller.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { actOnCheckpoint, type CheckpointDecision } from './act.ts';
import { decideCheckpoint } from './decide.ts';
import type { CheckpointFacts } from './facts.ts';
import { observeCheckpoint } from './observe.ts';

export class CheckpointReconciler implements Reconciler<CheckpointFacts, CheckpointDecision> {
  readonly #view: ClusterView;
  readonly #listener: Listener;

  constructor(view: ClusterView, listener: Listener) {
    this.#view = view;
    this.#listener = listener;
  }

  async observe(context: ReconcileContext): Promise<CheckpointFacts | Gone> {
    return await observeCheckpoint(this.#view, context);
  }

  decide(facts: CheckpointFacts): CheckpointDecision {
    return { facts, step: decideCheckpoint(facts) };
  }

  async act(
    decision: CheckpointDecision,
    context: ReconcileContext,
  ): Promise<ActResult | undefined> {
    return await actOnCheckpoint(this.#view.resources, this.#listener, decision, context);
  }
}
