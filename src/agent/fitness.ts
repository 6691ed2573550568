// What a node must have for a saved pod, and what of it a node lacks as far as its agent has told (pure). Who has not told
// anything is not found wanting: the agent of the node decides in the end.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { FailureReason } from '../../crds/conditions.ts';
import { type Agent, agentOn } from '../cluster/agents.ts';
import { earlierClock, type LatestStarts, startsFor, startsOn } from './clocks.ts';

/** A message names no more. */
const MAX_NAMED = 10;

export interface Needs {
  readonly latestStarts: LatestStarts | undefined;
  readonly cpuFeatures: readonly string[];
}

export interface Lack {
  readonly reason: Extract<FailureReason, 'ClockEarlier' | 'CpuFeatureMissing'>;
  /** what is to be said of the node */
  readonly facts: string;
}

/** Of a Checkpoint: what its processes have read. Of one that is not made yet: what they can read on their node. */
export function needsOf(
  checkpoint: Checkpoint | undefined,
  agents: readonly Agent[],
  nowMillis: number,
): Needs {
  const { requirements, source } = checkpoint?.status ?? {};
  return requirements === undefined
    ? needsOn(agents, source?.node)
    : needsFor(requirements, nowMillis);
}

/** @param requirements of a Checkpoint; what it does not know is not needed */
export function needsFor(
  requirements: Readonly<Record<string, unknown>>,
  nowMillis: number,
): Needs {
  const { cpuFeatures } = requirements;
  const known = Array.isArray(cpuFeatures) ? (cpuFeatures as readonly unknown[]) : [];
  return {
    latestStarts: startsFor(requirements, nowMillis),
    cpuFeatures: known.filter((one) => typeof one === 'string'),
  };
}

/** Programs that go on there go on reading the clocks of that node, and use what its CPU has. */
export function needsOn(agents: readonly Agent[], nodeName: string | undefined): Needs {
  const agent = nodeName === undefined ? undefined : agentOn(agents, nodeName);
  return {
    latestStarts: agent?.clocks && startsOn(agent.clocks),
    cpuFeatures: agent?.cpuFeatures ?? [],
  };
}

/** Undefined where the node is as good as far as anybody knows. */
export function lackOf({ latestStarts, cpuFeatures }: Needs, agent: Agent): Lack | undefined {
  const present = agent.cpuFeatures && new Set(agent.cpuFeatures);
  const missing = present ? cpuFeatures.filter((one) => !present.has(one)) : [];
  if (missing.length > 0) {
    return { reason: 'CpuFeatureMissing', facts: `has a CPU without ${listed(missing)}` };
  }
  const earlier = earlierClock(latestStarts, agent);
  return earlier === undefined
    ? undefined
    : { reason: 'ClockEarlier', facts: `was started too late: its ${earlier}` };
}

/** Those that the scheduler must not choose. */
export function unfitNodes(needs: Needs, agents: readonly Agent[]): readonly string[] {
  return agents.filter((agent) => lackOf(needs, agent) !== undefined).map((one) => one.nodeName);
}

/** Of the node asked for: a sentence about it. */
export function lackOfNode(
  needs: Needs,
  agents: readonly Agent[],
  nodeName: string,
): Lack | undefined {
  const agent = agentOn(agents, nodeName);
  const lack = agent && lackOf(needs, agent);
  return lack && { ...lack, facts: `node ${nodeName} ${lack.facts}` };
}

/** Where the scheduler may choose among several: a sentence about them if none of them will do. */
export function lackOfAll(needs: Needs, agents: readonly Agent[]): Lack | undefined {
  const lacks = agents.map((agent) => ({ agent, lack: lackOf(needs, agent) }));
  const first = lacks[0]?.lack;
  if (first === undefined || lacks.some(({ lack }) => lack === undefined)) {
    return undefined;
  }
  const facts = lacks.map(({ agent, lack }) => `${agent.nodeName} ${lack?.facts}`);
  return { reason: first.reason, facts: listed(facts, '; ') };
}

function listed(parts: readonly string[], separator = ', '): string {
  const named = parts.slice(0, MAX_NAMED).join(separator);
  return parts.length > MAX_NAMED ? `${named} and ${parts.length - MAX_NAMED} more` : named;
}
