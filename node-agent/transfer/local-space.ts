// Where bundles lie that only pass through a node: on its own disk, a folder for each task, never longer than the task
// or, for what was received, the NodeTask itself exists.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assertComponent, Directory, Lease } from '../bundle/directory.ts';
import { storeFailure } from '../bundle/store-error.ts';
import { errnoOf, TaskFailure } from '../task-failure.ts';

export interface LocalFolder extends AsyncDisposable {
  readonly directory: Directory;
}

export class LocalSpace {
  readonly #root: string;
  /** bundles of which every byte was compared with its manifest as it came in: manifest digest by task uid */
  readonly #whole = new Map<string, string>();

  /** @param root a folder of the node's disk that is this agent's alone */
  constructor(root: string) {
    this.#root = root;
  }

  /** An empty folder for the task; what an earlier attempt left is removed. @throws TaskFailure NodeSpaceFull */
  async create(taskUid: string): Promise<LocalFolder> {
    await this.remove(taskUid);
    try {
      await mkdir(this.#pathOf(taskUid), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw localFailure(error, `making a folder in ${this.#root}`);
    }
    return await this.open(taskUid);
  }

  /** @throws TaskFailure BundleMissing */
  async open(taskUid: string): Promise<LocalFolder> {
    // What a crash of the node loses is thawed at its source, or gone with the new pod.
    const lease = new Lease({ durable: false });
    try {
      const path = this.#pathOf(taskUid);
      const directory = await Directory.openTrusted(path, lease, "the node's own disk");
      const close = (): Promise<void> => lease.drop(new Error('the folder is closed'));
      return { directory, [Symbol.asyncDispose]: close };
    } catch (error) {
      throw errnoOf(error) === 'ENOENT'
        ? new TaskFailure('BundleMissing', 'what was received is not on this node any more')
        : localFailure(error, `opening a folder in ${this.#root}`);
    }
  }

  /** No error when there is none. */
  async remove(taskUid: string): Promise<void> {
    this.#whole.delete(taskUid);
    // Somebody who has just been told to stop may still be writing there.
    const patience = { maxRetries: 5, retryDelay: 100 };
    await rm(this.#pathOf(taskUid), { recursive: true, force: true, ...patience });
  }

  /** What earlier agents left for tasks that do not exist any more. @returns uids removed */
  async sweep(existing: ReadonlySet<string>): Promise<string[]> {
    const found = await readdir(this.#root).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') {
        return [];
      }
      throw error;
    });
    const left = found.filter((uid) => !existing.has(uid));
    for (const uid of left) {
      await this.remove(uid);
    }
    return left;
  }

  /** Says that this very process has compared every byte. */
  noteWhole(taskUid: string, digest: string): void {
    this.#whole.set(taskUid, digest);
  }

  isWhole(taskUid: string, digest: string): boolean {
    return this.#whole.get(taskUid) === digest;
  }

  #pathOf(taskUid: string): string {
    assertComponent(taskUid);
    return join(this.#root, taskUid);
  }
}

/** @throws TaskFailure NodeSpaceFull */
export async function assertLocalRoom(
  { directory }: LocalFolder,
  wantedBytes: number,
  nodeName: string,
): Promise<void> {
  const free = await directory.freeBytes();
  if (free < wantedBytes) {
    const facts = `node ${nodeName} has ${free} bytes left for the transfer, about ${wantedBytes} are needed`;
    throw new TaskFailure('NodeSpaceFull', facts);
  }
}

/** As storeFailure, for the node's own disk. */
export function localFailure(error: unknown, doing: string): Error {
  const failure = storeFailure(error, doing);
  return failure instanceof TaskFailure && failure.code === 'StoreFull'
    ? new TaskFailure('NodeSpaceFull', failure.message, { cause: error })
    : failure;
}
