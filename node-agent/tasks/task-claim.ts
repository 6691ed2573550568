// Which agent works on a task: the one that has written itself into its status, for as long as it is heard of.
import type { NodeTask, NodeTaskStatus } from '../../crds/node-task.ts';
import { isConflict, isNotFound } from '../../kube/api-error.ts';
import { type Clock, formatTime } from '../../kube/clock.ts';
import type { Resource } from '../../kube/resource.ts';

/** An agent that was heard of within this time still works on its task. */
export const OTHER_AGENT_MILLIS = 30_000;

/** An agent's own pod. */
export interface AgentIdentity {
  readonly name: string;
  readonly uid: string;
}

export const hasEnded = (status: NodeTaskStatus | undefined): boolean =>
  ['Succeeded', 'Failed', 'Canceled'].includes(status?.state ?? '');

/** Another agent than the one of `ourUid` has it, and was heard of lately. */
export function isWithAnother(
  status: NodeTaskStatus | undefined,
  ourUid: string,
  nowMillis: number,
): boolean {
  const { acceptedBy, heartbeatTime = '' } = status ?? {};
  const heardMillis = Date.parse(heartbeatTime);
  return (
    acceptedBy !== undefined &&
    acceptedBy.uid !== ourUid &&
    nowMillis - heardMillis < OTHER_AGENT_MILLIS
  );
}

/**
 * Writes the agent into the task's status; the resource version makes it exactly one agent. A task that has ended is left
 * as it is: only the journal has to be told.
 *
 * @returns false when somebody else was faster or the task is gone
 */
export async function claim(
  task: NodeTask,
  agent: AgentIdentity,
  { resource, clock }: { readonly resource: Resource<NodeTask>; readonly clock: Clock },
): Promise<boolean> {
  if (hasEnded(task.status)) return true;
  const { resourceVersion = '', uid } = task.metadata;
  const status: NodeTaskStatus = {
    state: 'Accepted',
    acceptedBy: { agentPod: agent.name, uid: agent.uid },
    heartbeatTime: formatTime(clock.now()),
  };
  try {
    const patch = { metadata: { uid }, status };
    await resource.mergePatchStatus(task.metadata, patch, { resourceVersion });
    return true;
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) return false;
    throw error;
  }
}

/** Somebody had claimed it and left no journal: what was done is not known any more. */
export function lostJournal(): NodeTaskStatus {
  const message = 'the agent of this node ended and its journal is gone';
  return { state: 'Failed', error: { code: 'AgentRestarted', message, retryable: true } };
}
