// What a dry run says about a real one: size, freeze, and which nodes could take the pod (pure).
import type { Candidate, Estimate } from '../../crds/checkpoint.ts';
import type { TaskResult } from '../../crds/node-task.ts';
import { formatBytesRounded } from '../../kube/quantity.ts';
import { lackOf, type Needs, needsFor } from '../agent/fitness.ts';
import { type Agent, agentOn } from '../cluster/agents.ts';
import { formatMillis } from '../cluster/status-builder.ts';
import { isNodeReady, type Node } from '../cluster/types.ts';
import { type MountedClaim, nameOf, outOfReach } from '../cluster/volume-reach.ts';
import { goArchitecture } from '../placeholder/pod.ts';

/** Copying page tables for the snapshot, the only part that a rehearsal leaves out: 15 to 23 ms as measured. */
const SNAPSHOT_MILLIS_PER_GIB = 20;
const GIB = 2 ** 30;
/** From here on the engine copies pages before the freeze: node-agent/engine/memory/pre-copy-choice.ts, ADR 22. */
const PRE_COPIED_BYTES = 256 * 2 ** 20;
const PRE_COPY_KERNEL = { major: 6, minor: 7 } as const;
/** A look for what has changed, and a copy of what little of it is left: 2 ms as measured, and a millisecond per GiB. */
const PRE_COPIED_MILLIS = 4;
const PRE_COPIED_MILLIS_PER_GIB = 2;
const MAX_NODES = 32;
const ORDER: readonly Candidate['suitable'][] = ['Yes', 'Unknown', 'No'];

export interface Nodes {
  readonly nodes: readonly Node[];
  readonly agents: readonly Agent[];
  /** claims of the pod */
  readonly mounts: readonly MountedClaim[];
  readonly nowMillis: number;
}

export function estimateOf(
  result: TaskResult,
  { nodes, agents, mounts, nowMillis }: Nodes,
): Estimate {
  const { requirements = {} } = result;
  const needs = needsFor(requirements, nowMillis);
  const containers = result.containers ?? [];
  const memory = containers.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const files = containers.reduce((sum, { rootfsDiffBytes }) => sum + rootfsDiffBytes, 0);
  const memoryMillis = containers.reduce(
    (sum, { memoryBytes }) => sum + millisForMemory(memoryBytes, requirements),
    0,
  );
  const freezeMillis = Number(((result.freezeMillis ?? 0) + memoryMillis).toFixed(1));
  return {
    bytes: memory + files,
    size: formatBytesRounded(memory + files),
    freezeMillis,
    freeze: formatMillis(freezeMillis),
    nodes: nodes
      .map((node) =>
        judgeNode(node, agentOn(agents, node.metadata.name), { requirements, needs, mounts }),
      )
      .toSorted((a, b) => ORDER.indexOf(a.suitable) - ORDER.indexOf(b.suitable))
      .slice(0, MAX_NODES),
  };
}

interface Wanted {
  readonly requirements: Readonly<Record<string, unknown>>;
  readonly needs: Needs;
  readonly mounts: readonly MountedClaim[];
}

/** Of an application that does not write faster than its pages are copied: else it is that of a snapshot. */
function millisForMemory(bytes: number, requirements: Readonly<Record<string, unknown>>): number {
  const gib = bytes / GIB;
  const snapshotMillis = gib * SNAPSHOT_MILLIS_PER_GIB;
  if (bytes < PRE_COPIED_BYTES || !canPreCopy(requirements['kernelRelease'])) return snapshotMillis;
  return Math.min(snapshotMillis, PRE_COPIED_MILLIS + gib * PRE_COPIED_MILLIS_PER_GIB);
}

function canPreCopy(kernelRelease: unknown): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(String(kernelRelease)) ?? [];
  const { major: needed, minor: least } = PRE_COPY_KERNEL;
  return Number(major) > needed || (Number(major) === needed && Number(minor) >= least);
}

/** The agent of the node decides in the end: only it knows the clock exactly. */
function judgeNode(node: Node, agent: Agent | undefined, wanted: Wanted): Candidate {
  const { name } = node.metadata;
  const objection = objectionTo(node, agent, wanted);
  if (objection !== undefined) {
    return { name, suitable: 'No', message: objection };
  }
  const { requirements, needs } = wanted;
  const kernel = requirements['kernelRelease'];
  const kernelVersion = node.status?.nodeInfo?.kernelVersion;
  if (typeof kernel === 'string' && kernelVersion !== kernel) {
    const message = `the node runs Linux ${kernelVersion}, the pod ran on ${kernel}: a Restore says what of that matters`;
    return { name, suitable: 'Unknown', message };
  }
  const isCompared = needs.cpuFeatures.length > 0 && agent?.cpuFeatures !== undefined;
  const message = isCompared
    ? 'same architecture and kernel, all CPU features; a Restore compares the exact clock'
    : 'same architecture and kernel; a Restore compares CPU features and the exact clock';
  return { name, suitable: 'Yes', message };
}

function objectionTo(
  node: Node,
  agent: Agent | undefined,
  { requirements, needs, mounts }: Wanted,
): string | undefined {
  if (!isNodeReady(node)) {
    return 'the node is not ready';
  }
  if (node.spec?.unschedulable === true) {
    return 'the node is cordoned';
  }
  const architecture = node.status?.nodeInfo?.architecture;
  const wanted = goArchitecture(requirements);
  if (wanted !== undefined && architecture !== wanted) {
    return `the node is ${architecture}, the pod ran on ${wanted}`;
  }
  const missed = outOfReach(node, mounts);
  if (missed !== undefined) {
    return `the node cannot mount ${nameOf(missed)}`;
  }
  if (agent?.ready !== true) {
    return 'no ready agent runs on the node';
  }
  const lack = lackOf(needs, agent);
  return lack && `the node ${lack.facts}`;
}
