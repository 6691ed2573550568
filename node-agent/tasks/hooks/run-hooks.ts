// The hooks of one side, one after the other, and what their failures mean.
import type { TaskHook } from '../../../crds/node-task.ts';
import type { Report } from '../../../crds/meta.ts';
import { messageOf, TaskFailure } from '../../task-failure.ts';
import { type ActionContext, perform } from './action.ts';

export type HookSide = 'pre' | 'post';

export interface HookOutcome {
  /** what the user is told of failures that do not count */
  readonly notes: readonly Report[];
  /** of the first hook whose failure counts */
  readonly failure: TaskFailure | undefined;
}

/**
 * Runs the hooks of a side. Of `pre` none is run after one whose failure counts; of `post`, which undo what the others
 * did, all are.
 *
 * @throws the reason of the signal
 */
export async function runHooks(
  hooks: readonly TaskHook[],
  side: HookSide,
  context: ActionContext,
): Promise<HookOutcome> {
  const notes: Report[] = [];
  let failure: TaskFailure | undefined;
  for (const [index, hook] of hooks.entries()) {
    const problem = await tried(hook, context);
    if (problem === undefined) {
      continue;
    }
    const message = `spec.hooks.${side}[${index}]: ${problem}`;
    if (hook.onError === 'Ignore') {
      notes.push(hookNote(message));
      continue;
    }
    failure ??= new TaskFailure('HookFailed', message);
    if (side === 'pre') {
      break;
    }
  }
  return { notes, failure };
}

export function hookNote(message: string): Report {
  return { severity: 'note', code: 'HookFailed', container: '', pid: 0, message };
}

/** @returns what went wrong */
async function tried(hook: TaskHook, context: ActionContext): Promise<string | undefined> {
  try {
    await perform(hook, hook.timeoutSeconds, context);
    return undefined;
  } catch (error) {
    context.signal.throwIfAborted();
    return messageOf(error);
  }
}
