// What to do while a Restore task exists (pure).
import type { NodeTask } from '../../crds/node-task.ts';
import { agentOn } from '../cluster/agents.ts';
import {
  failedVerdict,
  lostVerdict,
  overdueVerdict,
  passingFailure,
  stoppedVerdict,
} from '../node-task/outcome.ts';
import { DEADLINE_GRACE_MILLIS, taskHealth } from '../node-task/task.ts';
import {
  attemptsOf,
  deadlineMillis,
  fail,
  ownPod,
  type RestoreFacts,
  type RestoreStep,
  wait,
} from './facts.ts';

export function decideRunning(facts: RestoreFacts, task: NodeTask): RestoreStep {
  switch (taskHealth(task, facts.nowMillis)) {
    case 'finished':
      return decideResult(facts, task);
    case 'lost':
      return { do: 'fail', ...lostVerdict(task, facts.node) };
    case 'unclaimed':
    case 'running':
      return decideUnfinished(facts, task);
  }
}

function decideUnfinished(facts: RestoreFacts, task: NodeTask): RestoreStep {
  const { restore, nowMillis, agents } = facts;
  const { nodeName, cancel } = task.spec;
  const accepted = task.status?.acceptedBy !== undefined;
  if (ownPod(facts) === undefined) {
    return accepted && cancel !== true
      ? { do: 'cancel-task', task }
      : fail('PodGone', `pod ${restore.status?.pod?.name ?? ''} vanished while it was restored`);
  }
  if (nowMillis - deadlineMillis(restore) > (accepted ? DEADLINE_GRACE_MILLIS : 0)) {
    return { do: 'fail', ...overdueVerdict(task) };
  }
  return accepted || agentOn(agents, nodeName)?.ready === true
    ? { do: 'progress', task }
    : wait('AgentUnavailable', `no ready agent runs on node ${nodeName}`);
}

function decideResult(facts: RestoreFacts, task: NodeTask): RestoreStep {
  const { restore, nowMillis } = facts;
  const report = task.status?.result?.report ?? [];
  const overdue = nowMillis > deadlineMillis(restore);
  switch (task.status?.state) {
    case 'Succeeded':
      return { do: 'store-result', task };
    case 'Failed': {
      const again = overdue ? undefined : passingFailure(task, attemptsOf(restore));
      return again === undefined
        ? { do: 'fail', ...failedVerdict(task), report }
        : { do: 'retry', facts: again };
    }
    case 'Canceled':
    case 'Pending':
    case 'Accepted':
    case 'Running':
    case undefined:
      return { do: 'fail', ...stoppedVerdict(task, overdue), report };
  }
}
