// Agents are asked what the controller must know of their nodes (pure).
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { formatTime } from '../../kube/clock.ts';
import { agentContainerID } from '../cluster/agents.ts';
import { isPodReady, type Pod } from '../cluster/pod.ts';
import { isFinished, newTask } from '../node-task/task.ts';

/** The wall clock, against which the others are told, may be set right some time after the boot. */
export const RENEW_MILLIS = 6 * 3600_000;
const TIMEOUT_SECONDS = 600;
const LOOK_MILLIS = 30_000;

export interface AgentFacts {
  readonly nowMillis: number;
  /** of an agent, alive */
  readonly pod: Pod;
  /** its last Describe task */
  readonly task: NodeTask | undefined;
}

export type AgentStep =
  | { readonly do: 'nothing'; readonly againAfterMillis?: number }
  | { readonly do: 'ask'; readonly task: NodeTask }
  | { readonly do: 'forget'; readonly task: NodeTask };

export function decideAgent({ nowMillis, pod, task }: AgentFacts): AgentStep {
  const containerID = agentContainerID(pod);
  const { nodeName } = pod.spec;
  if (containerID === undefined || nodeName === undefined || !isPodReady(pod)) {
    // Its next change comes by itself.
    return { do: 'nothing' };
  }
  if (task === undefined) {
    return { do: 'ask', task: describeTask(pod, { nodeName, containerID, nowMillis }) };
  }
  const isOlder = task.spec.type !== 'Describe' || task.spec.describe.containerID !== containerID;
  const age = nowMillis - Date.parse(task.metadata.creationTimestamp ?? '');
  if (isOlder || age > RENEW_MILLIS) {
    return { do: 'forget', task };
  }
  return {
    do: 'nothing',
    againAfterMillis: isFinished(task) ? RENEW_MILLIS - age + 1 : LOOK_MILLIS,
  };
}

interface Question {
  readonly nodeName: string;
  readonly containerID: string;
  readonly nowMillis: number;
}

function describeTask({ metadata }: Pod, { nodeName, containerID, nowMillis }: Question): NodeTask {
  const { name, uid = '' } = metadata;
  return newTask(uid, {
    nodeName,
    owner: { kind: 'Pod', namespace: OPERATOR_NAMESPACE, name, uid },
    deadline: formatTime(nowMillis + TIMEOUT_SECONDS * 1000),
    type: 'Describe',
    describe: { containerID },
  });
}
