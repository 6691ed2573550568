// When the hooks of a dump run: `pre` right before the engine gets the processes, `post` as soon as they run again. Whoever
// has begun with `pre` owes `post`, whatever happens in between; the journal knows. A successor may run hooks again.
import type { TaskHooks } from '../../../crds/node-task.ts';
import type { Report } from '../../../crds/meta.ts';
import { Deadline } from '../../../kube/deadline.ts';
import { sharesProcessNamespace } from '../../container/pod-checks.ts';
import { messageOf, TaskFailure } from '../../task-failure.ts';
import type { DumpContext } from '../dump.ts';
import { type HookOutcome, runHooks } from './run-hooks.ts';

/** Of all post hooks together: less than an aborted task has for cleaning up. */
export const POST_MILLIS = 45_000;

const NONE: TaskHooks = { pre: [], post: [] };

/** @throws TaskFailure HookFailed, or the signal's reason; post hooks are due even then */
export async function runPreHooks(context: DumpContext): Promise<void> {
  const { spec, journal, progress, signal } = context;
  const { pre, post } = spec.dump.hooks ?? NONE;
  if (pre.length + post.length === 0) {
    return;
  }
  await journal.note(journal.step, { postHooks: 'due', hookNotes: [] });
  progress.stage('pre-hooks');
  const { notes, failure } = await runHooks(pre, 'pre', actionContext(context, signal));
  await journal.note(journal.step, { hookNotes: notes });
  if (failure !== undefined) {
    throw failure;
  }
}

/**
 * Runs the post hooks if they are due, even of a task that was cancelled or has no time left. The processes must run.
 *
 * @returns the failure of one that counts
 */
export async function runPostHooks(context: DumpContext): Promise<TaskFailure | undefined> {
  const { spec, journal, progress } = context;
  const { hookNotes = [], postHooks } = journal.facts;
  if (postHooks !== 'due') {
    return undefined;
  }
  progress.stage('post-hooks');
  using deadline = new Deadline(POST_MILLIS);
  const { post } = spec.dump.hooks ?? NONE;
  const outcome = await runHooks(post, 'post', actionContext(context, deadline.signal)).catch(
    (error: unknown): HookOutcome => ({
      notes: [],
      failure: new TaskFailure('HookFailed', `spec.hooks.post: all together, ${messageOf(error)}`),
    }),
  );
  await journal.note(journal.step, {
    postHooks: 'done',
    hookNotes: [...hookNotes, ...outcome.notes],
  });
  return outcome.failure;
}

/** Why a dump failed, with what became of its hooks. */
export function withHooks(
  error: unknown,
  notes: readonly Report[],
  hookFailure: TaskFailure | undefined,
): unknown {
  if (!(error instanceof TaskFailure) || (notes.length === 0 && hookFailure === undefined)) {
    return error;
  }
  const { code, message, retryable, report } = error;
  const told = hookFailure === undefined ? message : `${message}; besides, ${hookFailure.message}`;
  return new TaskFailure(code, told, { retryable, report: [...report, ...notes], cause: error });
}

function actionContext({ tools, spec }: DumpContext, signal: AbortSignal) {
  const { pod, podManifest } = spec.dump;
  return { tools, pod, signal, sharesProcessNamespace: sharesProcessNamespace(podManifest) };
}
