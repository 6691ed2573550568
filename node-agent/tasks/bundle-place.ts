// The place of one bundle on an opened volume: what every handler that touches the store begins with.
import type { TaskStore } from '../../crds/node-task.ts';
import {
  type BundlePlace,
  openBundle,
  openFolder,
  parseBundlePath,
} from '../bundle/bundle-path.ts';
import type { Directory } from '../bundle/directory.ts';
import { sweepStaging } from '../bundle/staging.ts';
import { TaskFailure } from '../task-failure.ts';
import type { TaskContext } from './task-context.ts';

export interface OpenPlace extends AsyncDisposable {
  readonly place: BundlePlace;
  /** folder of the namespace; undefined when it does not exist and was not to be made */
  readonly folder: Directory | undefined;
  /** aborts with the task and with the volume */
  readonly signal: AbortSignal;
}

/** @throws TaskFailure BundleInvalid, HolderLost, StoreUnavailable and those of a full or read-only volume */
export async function openPlace(
  { spec, signal, tools }: TaskContext,
  store: TaskStore | undefined,
  create: boolean,
): Promise<OpenPlace> {
  if (store === undefined) {
    throw new TaskFailure('StoreUnavailable', 'the task names no volume');
  }
  const place = parseBundlePath(store.bundlePath, spec.owner.namespace);
  const session = await tools.openStore(store, signal);
  try {
    const folder = await openFolder(session.root, place, create);
    if (folder !== undefined && create) {
      await sweepOwnLeftovers(folder, tools.nodeName, tools.activeTasks());
    }
    const dispose = (): PromiseLike<void> => session[Symbol.asyncDispose]();
    return { place, folder, signal: session.signal, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a crashed run of this node's agent left; other nodes may be at work in the same folder. */
async function sweepOwnLeftovers(
  folder: Directory,
  nodeName: string,
  active: ReadonlySet<string>,
): Promise<void> {
  await sweepStaging(folder, ({ node, taskUid }) => node === nodeName && !active.has(taskUid));
}

/** @throws TaskFailure BundleMissing */
export async function openExistingBundle({ folder, place }: OpenPlace): Promise<Directory> {
  const bundle = folder === undefined ? undefined : await openBundle(folder, place);
  if (bundle === undefined) {
    throw new TaskFailure('BundleMissing', `the volume has no ${place.text}`);
  }
  return bundle;
}
