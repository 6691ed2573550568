// The pod that a Restore makes, or has a controller make, as things stand (pure).
import { needsOf, unfitNodes } from '../agent/fitness.ts';
import type { Pod } from '../cluster/pod.ts';
import { placeholderPod } from '../placeholder/pod.ts';
import { type RestoreFacts, type RestoreStep, wait } from './facts.ts';

/** What to do with it. */
export function withPlaceholder(facts: RestoreFacts, use: (pod: Pod) => RestoreStep): RestoreStep {
  const { restore, checkpoint, features, agents, node, nowMillis } = facts;
  // All agents are of one version; the one of the node asked for knows best.
  const ready = agents.filter((agent) => agent.ready);
  const agent = ready.find(({ nodeName }) => nodeName === node?.metadata.name) ?? ready[0];
  if (checkpoint === undefined || agent === undefined) {
    return wait('AgentUnavailable', 'no ready agent runs on any node');
  }
  // Nodes that would refuse the Checkpoint: the scheduler must not choose them.
  const unfitNodeNames = unfitNodes(needsOf(checkpoint, agents, nowMillis), agents);
  const { initImage } = agent;
  return use(placeholderPod({ restore, checkpoint, features, initImage, unfitNodeNames }));
}
