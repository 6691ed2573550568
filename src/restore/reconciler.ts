// Restore: observe, decide, act, bound together for the controller.
import type { ActResult, Gone, ReconcileContext, Reconciler } from '../../kube/controller.ts';
import type { ClusterView } from '../cluster/view.ts';
import type { Listener } from '../observability/listener.ts';
import { actOnRestore, type RestoreDecision } from './act.ts';
import { decideRestore } from './decide.ts';
import type { RestoreFacts } from './facts.ts';
import { observeRestore } from './observe.ts';

export class RestoreReconciler implements Reconciler<RestoreFacts, RestoreDecision> {
  readonly #view: ClusterView;
  readonly #listener: Listener;
  readonly #serverVersion: string;

  /** @param serverVersion of the API server, as in `v1.37.2` */
  constructor(view: ClusterView, listener: Listener, serverVersion: string) {
    this.#view = view;
    this.#listener = listener;
    this.#serverVersion = serverVersion;
  }

  async observe(context: ReconcileContext): Promise<RestoreFacts | Gone> {
    return await observeRestore(this.#view, this.#serverVersion, context);
  }

  decide(facts: RestoreFacts): RestoreDecision {
    return { facts, step: decideRestore(facts) };
  }

  async act(decision: RestoreDecision, context: ReconcileContext): Promise<ActResult | undefined> {
    return await actOnRestore(this.#view.resources, this.#listener, decision, context);
  }
}
