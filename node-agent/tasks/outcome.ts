// The last word on a task, as it will stand in its status. Pure.
import type { NodeTaskStatus, TaskError, TaskResult, TaskRound } from '../../crds/node-task.ts';
import { storeFailure } from '../bundle/store-error.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { shortReport } from './dump-report.ts';

export type EndedState = 'Succeeded' | 'Failed' | 'Canceled';

export interface Outcome {
  readonly state: EndedState;
  readonly result?: TaskResult;
  readonly error?: TaskError;
  readonly rounds?: readonly TaskRound[];
}

export function succeeded(result: TaskResult): Outcome {
  return { state: 'Succeeded', result };
}

/** @param error whatever a handler threw; system calls that nobody expected to fail count as TaskFailed */
export function failed(error: unknown): Outcome {
  const failure = error instanceof TaskFailure ? error : unexpected(error);
  const { code, message, retryable, report } = failure;
  return {
    state: code === 'Canceled' ? 'Canceled' : 'Failed',
    error: { code, message, retryable },
    ...(report.length > 0 && { result: { report: shortReport(report) } }),
  };
}

function unexpected(error: unknown): TaskFailure {
  const named = storeFailure(error, 'working on the volume');
  const isStore = named instanceof TaskFailure && named.code !== 'StoreUnavailable';
  return isStore ? named : new TaskFailure('TaskFailed', messageOf(error), { cause: error });
}

/** Fields of an earlier run that the outcome does not have are removed. */
export function outcomeStatus(outcome: Outcome, now: string): NodeTaskStatus {
  return { heartbeatTime: now, ...outcome };
}
