// Which nodes have an agent, and what it tells about the node (pure).
import { INIT_IMAGE_CONTAINER, LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { ClockStarts, NodeTask } from '../../crds/node-task.ts';
import { isPodReady, type Pod, statusOfContainer } from './pod.ts';

const AGENT_CONTAINER = 'agent';

export interface Agent {
  readonly nodeName: string;
  readonly podName: string;
  readonly ready: boolean;
  /** image of the init, pulled to the node together with the agent */
  readonly initImage: string;
  /** of the node, once the agent has told */
  readonly clocks?: ClockStarts;
}

/**
 * @param pods pods of ours, of any role
 * @param tasks those that agents have done, of any type
 */
export function agentsOf(pods: readonly Pod[], tasks: readonly NodeTask[] = []): readonly Agent[] {
  const told = new Map(tasks.flatMap((task) => clocksByContainer(task)));
  return pods.flatMap((pod) => {
    const image = pod.spec.initContainers?.find(({ name }) => name === INIT_IMAGE_CONTAINER)?.image;
    const { nodeName } = pod.spec;
    if (!isAgentPod(pod) || nodeName === undefined || image === undefined) {
      return [];
    }
    const clocks = told.get(agentContainerID(pod));
    const { name: podName } = pod.metadata;
    const agent = { nodeName, podName, ready: isPodReady(pod), initImage: image };
    return { ...agent, ...(clocks && { clocks }) };
  });
}

/** Labels can be set by anybody who may make pods; not in our namespace. */
export function isAgentPod({ metadata }: Pod): boolean {
  return (
    metadata.namespace === OPERATOR_NAMESPACE &&
    metadata.labels?.[LABELS.role] === 'agent' &&
    metadata.deletionTimestamp === undefined
  );
}

/** Another one after each start of the agent, so after each boot of its node. */
export function agentContainerID(pod: Pod): string | undefined {
  return statusOfContainer(pod, AGENT_CONTAINER)?.containerID;
}

function clocksByContainer({
  spec,
  status,
}: NodeTask): readonly (readonly [string | undefined, ClockStarts])[] {
  const clocks = status?.state === 'Succeeded' ? status.result?.clocks : undefined;
  return spec.type === 'Describe' && clocks !== undefined
    ? [[spec.describe.containerID, clocks]]
    : [];
}

/** During an update a node may have two for a moment: the ready one counts. */
export function agentOn(agents: readonly Agent[], nodeName: string): Agent | undefined {
  const here = agents.filter((agent) => agent.nodeName === nodeName);
  return here.find(({ ready }) => ready) ?? here[0];
}
