// One file on its way to the other agent, whole or still growing: read ahead past the page cache, summed and sent.
import type { FileHandle } from 'node:fs/promises';
import { type Summing, summing } from '../bundle/checksum.ts';
import { BUFFERS, CHUNK_BYTES, DIRECT_FROM_BYTES, type OnBytes } from '../bundle/digest.ts';
import type { Directory } from '../bundle/directory.ts';
import type { ManifestFile } from '../bundle/manifest.ts';
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { enter, leave } from './folders.ts';
import type { Sender } from './sender.ts';

interface Place {
  readonly root: Directory;
  readonly folder: Directory;
}

export class OutgoingFile implements AsyncDisposable {
  readonly path: string;
  readonly #root: Directory;
  readonly #folder: Directory;
  readonly #handle: FileHandle;
  readonly #sender: Sender;
  readonly #sum: Summing = summing('gmac');
  #sentBytes = 0;

  private constructor(path: string, place: Place, handle: FileHandle, sender: Sender) {
    this.path = path;
    this.#root = place.root;
    this.#folder = place.folder;
    this.#handle = handle;
    this.#sender = sender;
  }

  /** Tells the other side of it. One at a time: the bytes that follow are its own. */
  static async open(root: Directory, path: string, sender: Sender): Promise<OutgoingFile> {
    const names = path.split('/');
    const folder = await enter(root, names.slice(0, -1));
    try {
      const handle = await openWell(folder, names.at(-1) ?? '');
      const file = new OutgoingFile(path, { root, folder }, handle, sender);
      await sender.file(path);
      return file;
    } catch (error) {
      await leave(folder, root);
      throw error;
    }
  }

  /** Sends the whole chunks before `offset`. @returns false when there was none */
  async sendUpTo(offset: number, ended: AbortSignal): Promise<boolean> {
    const end = offset - (offset % CHUNK_BYTES);
    const from = this.#sentBytes;
    await this.#send(end, ended);
    return this.#sentBytes > from;
  }

  /** Nobody writes to it any more: sends the rest. @param onBytes is told of what was sent before, too */
  async finish(onBytes: OnBytes, unwanted?: AbortSignal): Promise<ManifestFile> {
    const { size: sizeBytes } = await this.#folder.on(() => this.#handle.stat());
    if (sizeBytes < this.#sentBytes) {
      throw shortened(this.path);
    }
    onBytes(this.#sentBytes);
    const { signal } = this.#sender;
    const ended = unwanted === undefined ? signal : AbortSignal.any([signal, unwanted]);
    await this.#send(sizeBytes, ended, onBytes);
    ended.throwIfAborted();
    return { path: this.path, sizeBytes, ...this.#sum.end() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder.closeFile(this.#handle);
    await leave(this.#folder, this.#root);
  }

  /** While a chunk is encrypted the disk works on the next ones. */
  async #send(end: number, ended: AbortSignal, onBytes?: OnBytes): Promise<void> {
    const reads: Promise<Buffer>[] = [];
    let asked = this.#sentBytes;
    try {
      while (this.#sentBytes < end && !ended.aborted) {
        for (; reads.length < BUFFERS && asked < end; asked += CHUNK_BYTES) {
          const read = this.#read(asked, Math.min(CHUNK_BYTES, end - asked));
          // Awaited in its turn.
          read.catch(() => undefined);
          reads.push(read);
        }
        const content = (await reads.shift()) as Buffer;
        this.#sum.update(content);
        await this.#sender.data(content);
        this.#sentBytes += content.length;
        onBytes?.(content.length);
      }
    } finally {
      // Nobody may still be writing to the buffers when the next file takes them.
      await Promise.allSettled(reads);
    }
  }

  async #read(at: number, bytes: number): Promise<Buffer> {
    const buffer = this.#sender.bufferOf(at / CHUNK_BYTES);
    for (let done = 0; done < bytes; ) {
      // A direct read ends at a block of the disk, so it is asked for all there is room for.
      const read = async () => await this.#handle.read(buffer, done, CHUNK_BYTES - done, at + done);
      const { bytesRead } = await this.#folder.on(read);
      if (bytesRead === 0) {
        throw shortened(this.path);
      }
      done += bytesRead;
    }
    return buffer.subarray(0, bytes);
  }
}

/** As it lies on the disk: the page cache could hold what was there before somebody wrote past it. */
async function openWell(folder: Directory, name: string): Promise<FileHandle> {
  const { size } = await folder.lstat(name);
  if (size < DIRECT_FROM_BYTES) {
    return await folder.openForReading(name);
  }
  try {
    return await folder.openForReading(name, 'direct');
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') {
      return await folder.openForReading(name);
    }
    throw error;
  }
}

function shortened(path: string): TaskFailure {
  return new TaskFailure('TransferFailed', `${path} became shorter while it was sent`);
}
