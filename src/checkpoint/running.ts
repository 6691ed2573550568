// What to do while a Dump task of ours exists (pure).
import type { Report } from '../../crds/meta.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import {
  failedVerdict,
  lostVerdict,
  overdueVerdict,
  passingFailure,
  stoppedVerdict,
  type Verdict,
} from '../node-task/outcome.ts';
import { attemptOf, DEADLINE_GRACE_MILLIS, isFinished, taskHealth } from '../node-task/task.ts';
import { isDryRun } from './dump-task.ts';
import { estimateOf } from './estimate.ts';
import {
  acceptedPod,
  type CheckpointFacts,
  type CheckpointStep,
  deadlineMillis,
  fail,
  isTransferred,
} from './facts.ts';
import { introduction } from './transfer.ts';
import { firstObjection, NODE_CHECKS } from './source-checks.ts';

export function decideRunning(facts: CheckpointFacts, task: NodeTask): CheckpointStep {
  const { checkpoint, nowMillis } = facts;
  if (attemptOf(task) < (checkpoint.status?.attempts ?? 1)) {
    return { do: 'delete-task', task };
  }
  if (isFinished(task)) {
    return decideResult(facts, task);
  }
  if (checkpoint.spec.cancel === true && task.spec.cancel !== true) {
    return { do: 'cancel-task', task };
  }
  const overdueMillis = nowMillis - deadlineMillis(checkpoint);
  switch (taskHealth(task, nowMillis)) {
    case 'lost':
      return { do: 'fail', ...lostVerdict(task, facts.node), maybeFrozen: keptFrozen(task) };
    case 'unclaimed':
      return unclaimed(facts, task, overdueMillis > 0);
    case 'running':
    case 'finished':
      break;
  }
  const introduced = introduction(facts, task);
  if (introduced !== undefined) {
    return introduced;
  }
  // The agent should have stopped by itself at the deadline.
  return overdueMillis > DEADLINE_GRACE_MILLIS ? overdue(task) : { do: 'progress', task };
}

function overdue(task: NodeTask): CheckpointStep {
  return task.spec.cancel === true
    ? { do: 'fail', ...overdueVerdict(task), maybeFrozen: keptFrozen(task) }
    : { do: 'cancel-task', task };
}

function unclaimed(facts: CheckpointFacts, task: NodeTask, isOverdue: boolean): CheckpointStep {
  const { nodeName } = task.spec;
  if (isOverdue) {
    return fail('TimedOut', `the agent on node ${nodeName} did not take the task in time`);
  }
  return facts.checkpoint.spec.cancel === true
    ? fail('Canceled', 'cancelled before the agent took the task')
    : (firstObjection(NODE_CHECKS, facts) ?? { do: 'progress', task });
}

function decideResult(facts: CheckpointFacts, task: NodeTask): CheckpointStep {
  const report = task.status?.result?.report ?? [];
  const ended = { do: 'fail', report, maybeFrozen: keptFrozen(task) } as const;
  switch (task.status?.state) {
    case 'Succeeded':
      return decideSuccess(facts, task);
    case 'Failed':
      return mayRetry(facts, task) ?? { ...ended, ...verdictOf(facts, task) };
    case 'Canceled':
    case 'Pending':
    case 'Accepted':
    case 'Running':
    case undefined:
      return { ...ended, ...stoppedVerdict(task, isOverdue(facts)) };
  }
}

/** The agent sees containers end; only the API server knows that somebody wanted it. */
function verdictOf(facts: CheckpointFacts, task: NodeTask): Verdict {
  const verdict = failedVerdict(task);
  const ended = ['ContainerNotRunning', 'ContainerNotFound'].includes(verdict.reason);
  const pod = acceptedPod(facts);
  const deleted = pod === undefined || pod.metadata.deletionTimestamp !== undefined;
  return ended && deleted ? { ...verdict, reason: 'PodDeleted' } : verdict;
}

/** A dry run succeeds even if it finds that a real one could not. */
function decideSuccess(facts: CheckpointFacts, task: NodeTask): CheckpointStep {
  if (!isDryRun(facts.checkpoint)) {
    return { do: 'store-result', task };
  }
  const result = task.status?.result ?? {};
  const report = result.report ?? [];
  const refusals = report.filter((r) => r.severity === 'refusal');
  return refusals.length === 0
    ? { do: 'store-result', task, estimate: estimateOf(result, facts) }
    : { do: 'fail', reason: 'Unsupported', facts: refusalText(refusals), report };
}

function mayRetry(facts: CheckpointFacts, task: NodeTask): CheckpointStep | undefined {
  const { spec, status } = facts.checkpoint;
  const again = passingFailure(task, status?.attempts ?? 1);
  // What was waiting for it on the other side has ended with it.
  const once = isTransferred(facts.checkpoint);
  return once || again === undefined || spec.cancel === true || isOverdue(facts)
    ? undefined
    : { do: 'retry', facts: again };
}

/** Time is up, and that is not merely because the user has cancelled. */
function isOverdue({ checkpoint, nowMillis }: CheckpointFacts): boolean {
  return nowMillis > deadlineMillis(checkpoint) && checkpoint.spec.cancel !== true;
}

function refusalText(refusals: readonly Report[]): string {
  const [first, ...others] = refusals.map(
    ({ container, pid, code, message }) =>
      `container ${container}, process ${pid}: ${code}: ${message}`,
  );
  return others.length === 0 ? `${first}` : `${first} (and ${others.length} more in status.report)`;
}

/** The agent of this task may have left the source frozen. */
export function keptFrozen(task: NodeTask): boolean {
  const { spec, status } = task;
  return (
    spec.type === 'Dump' && spec.dump.afterDump === 'KeepFrozen' && status?.acceptedBy !== undefined
  );
}
