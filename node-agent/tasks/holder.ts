// The way into a volume: through the root of the holder pod that has it mounted (design K4). While a session is
// open, a shared lock on the holder's executable keeps the holder, and with it the mount, in place; should it be
// killed all the same, everything on the volume is let go of at once (cluster/PROOFS.md 2).
import { type FileHandle, open } from 'node:fs/promises';
import type { TaskStore } from '../../crds/node-task.ts';
import { Directory, Lease } from '../bundle/directory.ts';
import { storeFailure } from '../bundle/store-error.ts';
import type { ProcessHandle } from '../container/process-handle.ts';
import { TaskFailure } from '../task-failure.ts';
import { tryLock } from './file-lock.ts';

const POLL_MILLIS = 50;

export interface StoreSession extends AsyncDisposable {
  /** root of the volume */
  readonly root: Directory;
  /** aborts when the holder dies, and with the task */
  readonly signal: AbortSignal;
}

export interface HolderOptions {
  /** util-linux flock(1) */
  readonly flockProgram: string;
  /** its root process, held; the session disposes of it */
  readonly process: ProcessHandle;
  readonly signal: AbortSignal;
}

/**
 * Opens the volume that a holder has mounted.
 *
 * @throws TaskFailure HolderLost (retryable) when it is gone or going, StoreUnavailable when nothing is mounted
 */
export async function openHolder(store: TaskStore, options: HolderOptions): Promise<StoreSession> {
  const { process } = options;
  await using opening = new AsyncDisposableStack();
  opening.use(process);
  const lock = await lockExecutable(process, options.flockProgram, options.signal);
  opening.defer(() => lock.close());
  const lease = new Lease();
  opening.defer(() => lease.drop(new Error('the session is closed')));
  const root = await openVolume(process, store, lease);
  const watch = opening.use(new HolderWatch(process, lease, options.signal));
  if (!process.alive) {
    throw holderLost(process);
  }
  const opened = opening.move();
  return { root, signal: watch.signal, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function lockExecutable(
  process: ProcessHandle,
  flockProgram: string,
  signal: AbortSignal,
): Promise<FileHandle> {
  const file = await openExecutable(process);
  try {
    if (await tryLock(file, 'shared', flockProgram, signal)) {
      return file;
    }
    const facts = `the volume holder (process ${process.pid}) is ending`;
    throw new TaskFailure('HolderLost', facts, { retryable: true });
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openExecutable(process: ProcessHandle): Promise<FileHandle> {
  try {
    return await open(process.path('exe'), 'r');
  } catch (error) {
    throw process.alive
      ? storeFailure(error, 'opening the holder’s executable')
      : holderLost(process);
  }
}

async function openVolume(
  process: ProcessHandle,
  store: TaskStore,
  lease: Lease,
): Promise<Directory> {
  try {
    await using root = await Directory.openTrusted(process.path('root'), lease, 'holder');
    let current = root;
    for (const name of store.mountPath.split('/').filter((part) => part !== '')) {
      const next = await current.directory(name);
      if (current !== root) {
        await current.close();
      }
      current = next;
    }
    if ((await current.stat()).dev === (await root.stat()).dev) {
      const facts = `nothing is mounted at ${store.mountPath} of the volume holder ${store.holder.name}`;
      throw new TaskFailure('StoreUnavailable', facts, { retryable: true });
    }
    current.label = 'volume';
    return current;
  } catch (error) {
    throw process.alive ? storeFailure(error, 'opening the volume') : holderLost(process);
  }
}

/** Node cannot wait for a pidfd; a look at /proc costs some 20 us. */
class HolderWatch implements Disposable {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #parent: AbortSignal;
  readonly #onParentAbort: () => void;

  constructor(process: ProcessHandle, lease: Lease, parent: AbortSignal) {
    this.#parent = parent;
    this.#onParentAbort = () => this.#abort.abort(parent.reason);
    parent.addEventListener('abort', this.#onParentAbort);
    if (parent.aborted) {
      this.#onParentAbort();
    }
    this.#timer = setInterval(() => {
      if (!process.alive) {
        clearInterval(this.#timer);
        const failure = holderLost(process);
        this.#abort.abort(failure);
        void lease.drop(failure);
      }
    }, POLL_MILLIS);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#parent.removeEventListener('abort', this.#onParentAbort);
  }
}

function holderLost({ pid }: ProcessHandle): TaskFailure {
  const facts = `the pod that has the volume mounted (process ${pid}) went away`;
  return new TaskFailure('HolderLost', facts, { retryable: true });
}
