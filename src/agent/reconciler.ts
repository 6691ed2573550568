// Asks each agent once after it has started, and again some times a day: one NodeTask of type Describe stays for each.
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
import { isAgentPod } from '../cluster/agents.ts';
import type { ClusterView } from '../cluster/view.ts';
import { type AgentFacts, type AgentStep, decideAgent } from './decide.ts';

const SOON_MILLIS = 100;

export class AgentReconciler implements Reconciler<AgentFacts, AgentStep> {
  readonly #view: ClusterView;

  constructor(view: ClusterView) {
    this.#view = view;
  }

  async observe({ key, signal }: ReconcileContext): Promise<AgentFacts | Gone> {
    const { resources, clock } = this.#view;
    const pod = await resources.pods.find(parseKey(key), { signal });
    if (pod === undefined || !isAgentPod(pod)) {
      return GONE;
    }
    const task = await this.#view.task('Describe', pod.metadata.uid, signal);
    return { nowMillis: clock.now(), pod, task };
  }

  decide(facts: AgentFacts): AgentStep {
    return decideAgent(facts);
  }

  async act(step: AgentStep, { signal }: ReconcileContext): Promise<ActResult | undefined> {
    const actions = new ClusterActions(this.#view.resources, signal);
    switch (step.do) {
      case 'nothing':
        return again(step.againAfterMillis);
      case 'ask':
        await actions.createTask(step.task);
        return { requeueAfterMillis: SOON_MILLIS };
      case 'forget':
        await actions.deleteTask(step.task);
        return { requeueAfterMillis: SOON_MILLIS };
    }
  }
}
