// What the end of a task means, told the same way for Checkpoints and Restores (pure).
import { type FailureReason, reasonOfTaskError } from '../../crds/conditions.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { isNodeReady, type Node } from '../cluster/types.ts';

/** A passing failure is tried again this often. */
export const MAX_ATTEMPTS = 3;

export interface Verdict {
  readonly reason: FailureReason;
  readonly facts: string;
}

/** A task that nobody has been heard of for too long. */
export function lostVerdict(task: NodeTask, node: Node | undefined): Verdict {
  const seen = `last heard of at ${task.status?.heartbeatTime ?? 'no time'}`;
  const { nodeName } = task.spec;
  return node === undefined || !isNodeReady(node)
    ? { reason: 'NodeLost', facts: `node ${nodeName} does not answer, ${seen}` }
    : { reason: 'AgentLost', facts: `the agent on node ${nodeName} does not answer, ${seen}` };
}

/** Failed: the agent's code where we know it, else with the code in the words. */
export function failedVerdict(task: NodeTask): Verdict {
  const { code = '', message = 'the agent gave no reason' } = task.status?.error ?? {};
  const reason = reasonOfTaskError(code);
  return { reason, facts: reason === code || code === '' ? message : `${code}: ${message}` };
}

/** Canceled: by the user, or because time was up. */
export function stoppedVerdict(task: NodeTask, overdue: boolean): Verdict {
  const facts = `stopped; last seen: ${lastStage(task)}`;
  return { reason: overdue ? 'TimedOut' : 'Canceled', facts };
}

export function overdueVerdict(task: NodeTask): Verdict {
  return { reason: 'TimedOut', facts: `not done in time; last seen: ${lastStage(task)}` };
}

/** Why the last attempt failed, if it may succeed when repeated. */
export function passingFailure(task: NodeTask, attempts: number): string | undefined {
  const error = task.status?.state === 'Failed' ? task.status.error : undefined;
  return error?.retryable === true && attempts < MAX_ATTEMPTS
    ? `attempt ${attempts} failed: ${error.code}: ${error.message}`
    : undefined;
}

function lastStage(task: NodeTask): string {
  return task.status?.stage ?? 'nothing';
}
