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
  type RestoreFacts,
  type RestoreStep,
  wait,
} from './facts.ts';
import { rewoundPod, subjectPod } from './in-place.ts';

export function decideRunning(facts: RestoreFacts, task: NodeTask): RestoreStep {
  switch (taskHealth(task, facts.nowMillis)) {
    case 'finished':
      return decideResult(facts, task);
    case 'lost':
      return failFenced(task, { do: 'fail', ...lostVerdict(task, facts.node) });
    case 'unclaimed':
    case 'running':
      return decideUnfinished(facts, task);
  }
}

function decideUnfinished(facts: RestoreFacts, task: NodeTask): RestoreStep {
  const { restore, nowMillis, agents } = facts;
  const { nodeName } = task.spec;
  const accepted = task.status?.acceptedBy !== undefined;
  if (subjectPod(facts) === undefined) {
    const name = restore.status?.pod?.name ?? '';
    return failFenced(task, fail('PodGone', `pod ${name} vanished while it was restored`));
  }
  if (nowMillis - deadlineMillis(restore) > (accepted ? DEADLINE_GRACE_MILLIS : 0)) {
    return failFenced(task, { do: 'fail', ...overdueVerdict(task) });
  }
  if (restore.spec.cancel === true && !isCommitted(task)) {
    return failFenced(task, fail('Canceled', 'cancelled before any process was rebuilt'));
  }
  return accepted || agentOn(agents, nodeName)?.ready === true
    ? { do: 'progress', task }
    : wait('AgentUnavailable', `no ready agent runs on node ${nodeName}`);
}

/** An agent that is not heard of may still be at work: unless it is told first, it could rebuild the processes later. */
function failFenced(task: NodeTask, step: Extract<RestoreStep, { do: 'fail' }>): RestoreStep {
  return task.spec.cancel === true
    ? { ...step, committed: isCommitted(task) }
    : { do: 'cancel-task', task };
}

function isCommitted(task: NodeTask): boolean {
  return task.status?.committed === true;
}

function decideResult(facts: RestoreFacts, task: NodeTask): RestoreStep {
  const { restore, nowMillis } = facts;
  const ended = {
    do: 'fail',
    report: task.status?.result?.report ?? [],
    committed: isCommitted(task),
  } as const;
  const overdue = nowMillis > deadlineMillis(restore);
  switch (task.status?.state) {
    case 'Succeeded':
      return { do: 'store-result', task };
    case 'Failed': {
      const again = overdue ? undefined : passingFailureOf(facts, task);
      return again === undefined
        ? { ...ended, ...failedVerdict(task) }
        : { do: 'retry', facts: again };
    }
    case 'Canceled':
    case 'Pending':
    case 'Accepted':
    case 'Running':
    case undefined:
      return { ...ended, ...stoppedVerdict(task, overdue) };
  }
}

/** A running pod is rewound once: what failed for a passing reason is for its user to try again. */
function passingFailureOf({ restore }: RestoreFacts, task: NodeTask): string | undefined {
  const isUnwanted = rewoundPod(restore) !== undefined || restore.spec.cancel === true;
  return isUnwanted ? undefined : passingFailure(task, attemptsOf(restore));
}
