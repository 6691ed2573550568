// Which nodes have an agent, and what it tells about the node (pure).
import { INIT_IMAGE_CONTAINER, LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask, TaskResult } from '../../crds/node-task.ts';
import { isPodReady, type Pod, statusOfContainer } from './pod.ts';

const AGENT_CONTAINER = 'agent';

/** What an agent tells of its node. */
type Told = Pick<TaskResult, 'clocks' | 'cpuFeatures'>;

/** What it has not told yet is not there. */
export interface Agent extends Told {
  readonly nodeName: string;
  readonly podName: string;
  readonly ready: boolean;
  /** image of the init, pulled to the node together with the agent */
  readonly initImage: string;
}

/**
 * @param pods pods of ours, of any role
 * @param tasks those that agents have done, of any type
 */
export function agentsOf(pods: readonly Pod[], tasks: readonly NodeTask[] = []): readonly Agent[] {
  const told = new Map(tasks.flatMap((task) => toldByContainer(task)));
  return pods.flatMap((pod) => {
    const image = pod.spec.initContainers?.find(({ name }) => name === INIT_IMAGE_CONTAINER)?.image;
    const { nodeName } = pod.spec;
    if (!isAgentPod(pod) || nodeName === undefined || image === undefined) {
      return [];
    }
    const { name: podName } = pod.metadata;
    const agent = { nodeName, podName, ready: isPodReady(pod), initImage: image };
    return { ...agent, ...told.get(agentContainerID(pod)) };
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

function toldByContainer({
  spec,
  status,
}: NodeTask): readonly (readonly [string | undefined, Told])[] {
  if (spec.type !== 'Describe' || status?.state !== 'Succeeded') {
    return [];
  }
  const { clocks, cpuFeatures } = status.result ?? {};
  const told = { ...(clocks && { clocks }), ...(cpuFeatures && { cpuFeatures }) };
  return [[spec.describe.containerID, told]];
}

/** During an update a node may have two for a moment: the ready one counts. */
export function agentOn(agents: readonly Agent[], nodeName: string): Agent | undefined {
  const here = agents.filter((agent) => agent.nodeName === nodeName);
  return here.find(({ ready }) => ready) ?? here[0];
}
