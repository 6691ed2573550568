// Migration: observe, decide, act, bound together for the controller.
import type { ActResult, Gone, ReconcileContext, Reconciler } from '../../kube/controller.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { actOnMigration, type MigrationDecision } from './act.ts';
import { decideMigration } from './decide.ts';
import type { MigrationFacts } from './facts.ts';
import { observeMigration } from './observe.ts';

export class MigrationReconciler implements Reconciler<MigrationFacts, MigrationDecision> {
  readonly #view: ClusterView;
  readonly #listener: Listener;

  constructor(view: ClusterView, listener: Listener) {
    this.#view = view;
    this.#listener = listener;
  }

  async observe(context: ReconcileContext): Promise<MigrationFacts | Gone> {
    return await observeMigration(this.#view, context);
  }

  decide(facts: MigrationFacts): MigrationDecision {
    return { facts, step: decideMigration(facts) };
  }

  async act(
    decision: MigrationDecision,
    context: ReconcileContext,
  ): Promise<ActResult | undefined> {
    return await actOnMigration(this.#view.resources, this.#listener, decision, context);
  }
}
