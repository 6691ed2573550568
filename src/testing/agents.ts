// Agents and what they tell of their nodes.
import type { ClockStarts } from '../../crds/node-task.ts';
import { type Agent, agentsOf } from '../cluster/agents.ts';
import { agent, time } from './builders.ts';

/** Of node-a, node-b and so on, ready, in this order. */
export function agentsTelling(
  ...told: readonly Pick<Agent, 'clocks' | 'cpuFeatures'>[]
): readonly Agent[] {
  return told.flatMap((one, index) => {
    const name = `node-${String.fromCharCode('a'.charCodeAt(0) + index)}`;
    return agentsOf([agent(name)]).map((made) => ({ ...made, ...one }));
  });
}

/** Both clocks of nodes that were started so many seconds ago. */
export function agentsStarted(...secondsAgo: readonly number[]): readonly Agent[] {
  return agentsTelling(...secondsAgo.map((seconds) => ({ clocks: startedAgo(seconds) })));
}

export function agentsWith(...cpuFeatures: readonly (readonly string[])[]): readonly Agent[] {
  return agentsTelling(...cpuFeatures.map((features) => ({ cpuFeatures: features })));
}

export function startedAgo(seconds: number): ClockStarts {
  return { monotonic: time(-seconds), boottime: time(-seconds) };
}
