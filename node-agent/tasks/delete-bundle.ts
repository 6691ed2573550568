// DeleteBundle: removes a bundle and what unfinished attempts at it left. Can be repeated; nothing there is fine.
import type { TaskResult } from '../../crds/node-task.ts';
import { removeBundle } from '../bundle/remove-bundle.ts';
import { openPlace } from './bundle-place.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

export const deleteBundleHandler: TaskHandler<'DeleteBundle'> = {
  type: 'DeleteBundle',
  podUid: () => undefined,
  run: deleteBundle,
  resume: deleteBundle,
  // Half-deleted bundles lost their name already; whoever wants them gone asks again.
  abandon: () => Promise.resolve(),
};

async function deleteBundle(context: TaskContext<SpecOf<'DeleteBundle'>>): Promise<TaskResult> {
  context.progress.stage('opening-store');
  await using opened = await openPlace(context, context.spec.deleteBundle.store, false);
  context.progress.stage('deleting');
  if (opened.folder !== undefined) {
    await removeBundle(opened.folder, opened.place);
  }
  return {};
}
