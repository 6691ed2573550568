// Where the bundle of a restore lies: on a store, or on this node's own disk, where a Receive task put it.
import type { Directory } from '../bundle/directory.ts';
import { openExistingBundle, openPlace } from './bundle-place.ts';
import type { RestoreContext } from './restore.ts';

export interface RestoreSource extends AsyncDisposable {
  readonly bundle: Directory;
  /** aborts with the task, and with the store */
  readonly signal: AbortSignal;
}

/** @throws TaskFailure BundleMissing, and those of a store */
export async function openSource(context: RestoreContext): Promise<RestoreSource> {
  const { store, received } = context.spec.restore;
  if (received !== undefined) {
    const folder = await context.tools.localSpace.open(received.taskUid);
    const close = (): PromiseLike<void> => folder[Symbol.asyncDispose]();
    return { bundle: folder.directory, signal: context.signal, [Symbol.asyncDispose]: close };
  }
  await using opening = new AsyncDisposableStack();
  const opened = opening.use(await openPlace(context, store, false));
  const bundle = opening.use(await openExistingBundle(opened));
  const all = opening.move();
  return { bundle, signal: opened.signal, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
