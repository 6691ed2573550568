// What a dry run says about a real one: size, freeze, and which nodes could take the pod (pure).
import type { Candidate, Estimate } from '../../crds/checkpoint.ts';
import type { TaskResult } from '../../crds/node-task.ts';
import { formatBytesRounded } from '../../kube/quantity.ts';
import { earlierClock, type LatestStarts, startsFor } from '../agent/clocks.ts';
import { type Agent, agentOn } from '../cluster/agents.ts';
import { formatMillis } from '../cluster/status-builder.ts';
import { isNodeReady, type Node } from '../cluster/types.ts';
import { goArchitecture } from '../placeholder/pod.ts';

/** Copying page tables for the snapshot, the only part that a rehearsal leaves out: 15 to 23 ms as measured. */
const SNAPSHOT_MILLIS_PER_GIB = 20;
const GIB = 2 ** 30;
const MAX_NODES = 32;
const ORDER: readonly Candidate['suitable'][] = ['Yes', 'Unknown', 'No'];

export interface Nodes {
  readonly nodes: readonly Node[];
  readonly agents: readonly Agent[];
  readonly nowMillis: number;
}

export function estimateOf(result: TaskResult, { nodes, agents, nowMillis }: Nodes): Estimate {
  const { requirements = {} } = result;
  const latest = startsFor(requirements, nowMillis);
  const containers = result.containers ?? [];
  const memory = containers.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const files = containers.reduce((sum, { rootfsDiffBytes }) => sum + rootfsDiffBytes, 0);
  const snapshotMillis = (memory / GIB) * SNAPSHOT_MILLIS_PER_GIB;
  const freezeMillis = Number(((result.freezeMillis ?? 0) + snapshotMillis).toFixed(1));
  return {
    bytes: memory + files,
    size: formatBytesRounded(memory + files),
    freezeMillis,
    freeze: formatMillis(freezeMillis),
    nodes: nodes
      .map((node) => judgeNode(node, agentOn(agents, node.metadata.name), { requirements, latest }))
      .toSorted((a, b) => ORDER.indexOf(a.suitable) - ORDER.indexOf(b.suitable))
      .slice(0, MAX_NODES),
  };
}

interface Needs {
  readonly requirements: Readonly<Record<string, unknown>>;
  readonly latest: LatestStarts;
}

/** The agent of the node decides in the end: only it knows CPU features, and the clock exactly. */
function judgeNode(
  node: Node,
  agent: Agent | undefined,
  { requirements, latest }: Needs,
): Candidate {
  const { name } = node.metadata;
  const { architecture, kernelVersion } = node.status?.nodeInfo ?? {};
  const wanted = goArchitecture(requirements);
  const kernel = requirements['kernelRelease'];
  const no = (message: string): Candidate => ({ name, suitable: 'No', message });
  if (!isNodeReady(node)) {
    return no('the node is not ready');
  }
  if (node.spec?.unschedulable === true) {
    return no('the node is cordoned');
  }
  if (wanted !== undefined && architecture !== wanted) {
    return no(`the node is ${architecture}, the pod ran on ${wanted}`);
  }
  if (agent?.ready !== true) {
    return no('no ready agent runs on the node');
  }
  const earlier = earlierClock(latest, agent);
  if (earlier !== undefined) {
    return no(`the node was started too late: its ${earlier}`);
  }
  if (typeof kernel === 'string' && kernelVersion !== kernel) {
    const message = `the node runs Linux ${kernelVersion}, the pod ran on ${kernel}: a Restore says what of that matters`;
    return { name, suitable: 'Unknown', message };
  }
  const message =
    'same architecture and kernel; a Restore compares CPU features and the exact clock';
  return { name, suitable: 'Yes', message };
}
