// Which nodes have an agent, and what the agent's pod tells about the node (pure).
import { INIT_IMAGE_CONTAINER, LABELS, OPERATOR_NAMESPACE } from '../../crds/names.ts';
import { isPodReady, type Pod } from './pod.ts';

export interface Agent {
  readonly nodeName: string;
  readonly podName: string;
  readonly ready: boolean;
  /** image of the init, pulled to the node together with the agent */
  readonly initImage: string;
}

/** @param pods pods of ours, of any role */
export function agentsOf(pods: readonly Pod[]): readonly Agent[] {
  return pods.flatMap((pod) => {
    const image = pod.spec.initContainers?.find(({ name }) => name === INIT_IMAGE_CONTAINER)?.image;
    const { nodeName } = pod.spec;
    if (
      // Labels can be set by anybody who may make pods; not there.
      pod.metadata.namespace !== OPERATOR_NAMESPACE ||
      pod.metadata.labels?.[LABELS.role] !== 'agent' ||
      pod.metadata.deletionTimestamp !== undefined ||
      nodeName === undefined ||
      image === undefined
    ) {
      return [];
    }
    return { nodeName, podName: pod.metadata.name, ready: isPodReady(pod), initImage: image };
  });
}

/** During an update a node may have two for a moment: the ready one counts. */
export function agentOn(agents: readonly Agent[], nodeName: string): Agent | undefined {
  const here = agents.filter((agent) => agent.nodeName === nodeName);
  return here.find(({ ready }) => ready) ?? here[0];
}
