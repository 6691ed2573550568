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
  switch (task.status?.state) {
    case 'Succeeded':
      return { do: 'store-result', task };
    case 'Failed':
      return mayRetry(facts, task) ?? { ...ended, ...failedVerdict(task) };
    case 'Canceled':
    case 'Pending':
    case 'Accepted':
    case 'Running':
    case undefined:
      return { ...ended, ...stoppedVerdict(task, nowMillis > deadlineMillis(restore)) };
  }
}

function mayRetry({ restore, nowMillis }: RestoreFacts, task: NodeTask): RestoreStep | undefined {
  // Another attempt needs another new pod, perhaps elsewhere: what was received is here. A running pod is rewound
  // once: what failed for a passing reason is for its user to try again.
  const received = task.spec.type === 'Restore' && task.spec.restore.received !== undefined;
  const once = received || rewoundPod(restore) !== undefined;
  const unwanted = nowMillis > deadlineMillis(restore) || restore.spec.cancel === true;
  const again = once || unwanted ? undefined : passingFailure(task, attemptsOf(restore));
  return again === undefined ? undefined : { do: 'retry', facts: again };
}
