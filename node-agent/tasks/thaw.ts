// Thaw: lets a source go on that a dump left frozen. Must work whatever else is broken, and can be repeated.
import type { TaskContainer, TaskPod, TaskResult } from '../../crds/node-task.ts';
import { thaw } from '../container/freezer.ts';
import { TaskFailure } from '../task-failure.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

export const thawHandler: TaskHandler<'Thaw'> = {
  type: 'Thaw',
  podUid: (spec) => spec.thaw.pod.uid,
  run: thawPod,
  resume: thawPod,
  abandon: async (context) => {
    await thawPod(context);
  },
};

async function thawPod(context: TaskContext<SpecOf<'Thaw'>>): Promise<TaskResult> {
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
  return {};
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
