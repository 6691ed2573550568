// A bundle being written. Until `seal` nobody sees it under its own name, and after it nobody sees half of one.
import { errnoOf, messageOf, TaskFailure } from '../task-failure.ts';
import { Digester, type OnBytes } from './digest.ts';
import type { Directory } from './directory.ts';
import { MANIFEST_FILE, ORIGIN_FILE, STAGING_PREFIX, stagingName } from './layout.ts';
import { encodeManifest, type Manifest, type ManifestFile, manifestDigest } from './manifest.ts';
import { storeFailure } from './store-error.ts';
import { listFiles, removeTree, syncTree } from './tree.ts';

const MAX_ORIGIN_BYTES = 64 * 1024;

/** Who writes a staging directory: enough for an agent to recognise its own leftovers. */
export interface Origin {
  readonly node: string;
  readonly taskUid: string;
  readonly bundleName: string;
}

export interface SealedBundle {
  readonly digest: string;
  readonly bytes: number;
}

export class Staging implements AsyncDisposable {
  readonly directory: Directory;
  readonly #folder: Directory;
  readonly #origin: Origin;

  private constructor(folder: Directory, directory: Directory, origin: Origin) {
    this.#folder = folder;
    this.directory = directory;
    this.#origin = origin;
  }

  /** An empty staging directory; what an earlier attempt of the same task left is removed. */
  static async create(folder: Directory, origin: Origin): Promise<Staging> {
    const name = stagingName(origin.taskUid);
    try {
      await removeTree(folder, name);
      await folder.makeDirectory(name);
      const staging = new Staging(folder, await folder.directory(name), origin);
      await staging.directory.writeFile(ORIGIN_FILE, JSON.stringify(origin));
      await folder.sync();
      return staging;
    } catch (error) {
      throw storeFailure(error, `creating ${folder.label}/${name}`);
    }
  }

  /** The staging directory of an earlier run of this agent. @throws ENOENT when it is gone */
  static async reopen(folder: Directory, origin: Origin): Promise<Staging> {
    return new Staging(folder, await folder.directory(stagingName(origin.taskUid)), origin);
  }

  /** Digests of everything written so far. Reads the disk, not what we believe to have written. */
  async digests(signal: AbortSignal, onBytes?: OnBytes): Promise<ManifestFile[]> {
    try {
      const digester = new Digester(signal, onBytes);
      const files: ManifestFile[] = [];
      for (const { path } of await listFiles(this.directory)) {
        if (path !== MANIFEST_FILE) {
          files.push({ path, ...(await digester.digest(this.directory, path)) });
        }
      }
      return files;
    } catch (error) {
      throw storeFailure(error, `reading back ${this.directory.label}`);
    }
  }

  /** Writes the manifest; from here on the staging directory could become the bundle. */
  async writeManifest(manifest: Manifest): Promise<SealedBundle> {
    const text = encodeManifest(manifest);
    try {
      await syncTree(this.directory);
      await this.directory.writeFile(MANIFEST_FILE, text);
      await this.directory.sync();
    } catch (error) {
      throw storeFailure(error, `writing ${this.directory.label}/${MANIFEST_FILE}`);
    }
    const bytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { digest: manifestDigest(text), bytes: bytes + Buffer.byteLength(text) };
  }

  /**
   * Gives the bundle its name, durably. Idempotent: a crash after the rename leaves nothing to do.
   *
   * @throws TaskFailure StoreUnavailable when something else has the name
   */
  async seal(): Promise<void> {
    const { bundleName, taskUid } = this.#origin;
    try {
      await this.#folder.rename(stagingName(taskUid), bundleName);
      await this.#folder.sync();
    } catch (error) {
      const taken = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(error) ?? '');
      const facts = `${this.#folder.label}/${bundleName} exists already`;
      throw taken
        ? new TaskFailure('StoreUnavailable', facts, { cause: error })
        : storeFailure(error, `renaming to ${this.#folder.label}/${bundleName}`);
    }
  }

  /** Removes everything written. */
  async discard(): Promise<void> {
    await this.directory.close();
    await removeTree(this.#folder, stagingName(this.#origin.taskUid));
    await this.#folder.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.directory.close();
  }
}

/**
 * Removes what crashed runs left beside a bundle.
 *
 * @param stale which staging directories nobody works on any more; unreadable ones are left alone
 * @returns names removed
 */
export async function sweepStaging(
  folder: Directory,
  stale: (origin: Origin) => boolean,
): Promise<string[]> {
  const removed: string[] = [];
  for (const { name } of await folder.entries()) {
    if (name.startsWith(STAGING_PREFIX)) {
      const origin = await readOrigin(folder, name);
      if (origin !== undefined && stagingName(origin.taskUid) === name && stale(origin)) {
        await removeTree(folder, name);
        removed.push(name);
      }
    }
  }
  return removed;
}

async function readOrigin(folder: Directory, name: string): Promise<Origin | undefined> {
  try {
    await using directory = await folder.directory(name);
    const text = await directory.readFile(ORIGIN_FILE, MAX_ORIGIN_BYTES);
    const origin = JSON.parse(text.toString()) as Partial<Origin> | null;
    return typeof origin?.node === 'string' &&
      typeof origin.taskUid === 'string' &&
      typeof origin.bundleName === 'string'
      ? (origin as Origin)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) !== undefined) {
      return undefined;
    }
    throw error instanceof Error ? error : new Error(messageOf(error));
  }
}
