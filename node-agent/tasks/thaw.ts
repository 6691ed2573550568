// Thaw: lets a source go on that a dump left frozen, and runs the hooks that are owed since. Must work whatever else is
// broken, and can be repeated.
import type { Report } from '../../crds/meta.ts';
import type { TaskContainer, TaskPod, TaskResult } from '../../crds/node-task.ts';
import { Deadline } from '../../kube/deadline.ts';
import { thaw } from '../container/freezer.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { POST_MILLIS } from './hooks/dump-hooks.ts';
import { hookNote, runHooks } from './hooks/run-hooks.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

type ThawContext = TaskContext<SpecOf<'Thaw'>>;

export const thawHandler: TaskHandler<'Thaw'> = {
  type: 'Thaw',
  podUid: (spec) => spec.thaw.pod.uid,
  run: thawPod,
  resume: thawPod,
  abandon: async (context) => {
    await thawPod(context);
  },
};

async function thawPod(context: ThawContext): Promise<TaskResult> {
  const { pod, containers } = context.spec.thaw;
  context.progress.stage('thawing');
  let firstError: unknown;
  for (const container of containers) {
    try {
      await thawContainer(context, pod, container);
    } catch (error) {
      // The others shall go on nevertheless.
      firstError ??= error;
    }
  }
  if (firstError !== undefined) {
    throw firstError as Error;
  }
  return { report: await runOwedHooks(context) };
}

/** The source runs, and that is what was asked for: a hook that fails is told, and no reason to thaw again. */
async function runOwedHooks({ spec, tools, progress }: ThawContext): Promise<readonly Report[]> {
  const { pod, post = [] } = spec.thaw;
  if (post.length === 0) {
    return [];
  }
  progress.stage('post-hooks');
  using deadline = new Deadline(POST_MILLIS);
  const { signal } = deadline;
  try {
    const context = { tools, pod, signal, sharesProcessNamespace: true };
    const { notes, failure } = await runHooks(post, 'post', context);
    return failure === undefined ? notes : [hookNote(failure.message), ...notes];
  } catch (error) {
    return [hookNote(`spec.hooks.post: all together, ${messageOf(error)}`)];
  }
}

async function thawContainer(
  { signal, tools }: TaskContext,
  pod: TaskPod,
  wanted: TaskContainer,
): Promise<void> {
  try {
    using found = await tools.findContainer(wanted, { pod, signal, sharesProcessNamespace: true });
    const { freezerFile } = found.cgroup;
    if (freezerFile !== undefined) {
      thaw(freezerFile);
    }
  } catch (error) {
    // What has ended is not frozen.
    const ended = ['ContainerNotFound', 'ContainerNotRunning'];
    if (!(error instanceof TaskFailure && ended.includes(error.code))) {
      throw error;
    }
  }
}
