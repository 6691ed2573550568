// Sends the pages of the first large process while the engine still writes them, so that the stream does not begin only
// when the disk is done. How far the engine is, the kernel tells: the offset of its descriptor. Pages are only appended.
import { createHash, type Hash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { alignedBuffers, CHUNK_BYTES, type OnBytes } from '../bundle/digest.ts';
import type { Directory } from '../bundle/directory.ts';
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { localFailure } from './local-space.ts';
import type { Sender } from './sender.ts';

const LOOK_MILLIS = 20;
/** Smaller files are sent with the rest. */
const WORTH_BYTES = 16 << 20;
const PAGES_FILE = /\/pages-\d+\.img$/;

export interface FollowerOptions {
  /** where the engine writes */
  readonly directory: Directory;
  readonly sender: Sender;
  /** of the engine, once it is at work */
  readonly enginePid: () => number | undefined;
  readonly worthBytes?: number;
}

export class PagesFollower implements AsyncDisposable {
  readonly #options: FollowerOptions;
  readonly #root: string;
  readonly #failed = new AbortController();
  readonly #done = new AbortController();
  readonly #following: Promise<void>;
  #file: FollowedFile | undefined;
  /** aborts when it cannot go on, and with the sender */
  readonly signal: AbortSignal;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#root = readlinkSync(options.directory.externalPath);
    this.signal = AbortSignal.any([options.sender.signal, this.#failed.signal]);
    this.#following = this.#follow();
  }

  /** The engine is done: sends the rest of the file. @returns bytes of it, all sent */
  async finish(onBytes: OnBytes): Promise<number> {
    this.#done.abort();
    await this.#following;
    this.signal.throwIfAborted();
    return (await this.#file?.finish(onBytes)) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#done.abort();
    await this.#following;
    await this.#file?.close();
  }

  async #follow(): Promise<void> {
    const ended = AbortSignal.any([this.signal, this.#done.signal]);
    try {
      while (!ended.aborted) {
        const writing = this.#look();
        if (writing !== undefined) {
          this.#file ??= await FollowedFile.open(this.#options, writing.path);
          await this.#file.sendUpTo(writing.offset, ended);
        }
        await sleep(LOOK_MILLIS, undefined, { signal: ended }).catch(() => undefined);
      }
    } catch (error) {
      this.#failed.abort(localFailure(error, 'reading pages as they are written'));
    }
  }

  /** The file that is followed, else the first that is worth it. */
  #look(): { readonly path: string; readonly offset: number } | undefined {
    const pid = this.#options.enginePid();
    const { worthBytes = WORTH_BYTES } = this.#options;
    const open = pid === undefined ? [] : openPagesFiles(pid, this.#root);
    return open.find(({ path, offset }) =>
      this.#file === undefined ? offset >= worthBytes : path === this.#file.path,
    );
  }
}

interface OpenFile {
  readonly path: string;
  readonly offset: number;
}

/** Pages files below `root` that a process has open, and how far it is with each. */
function openPagesFiles(pid: number, root: string): OpenFile[] {
  return unlessGone(() => readdirSync(`/proc/${pid}/fd`), []).flatMap((fd) => {
    const link = unlessGone(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '');
    if (!link.startsWith(`${root}/`) || !PAGES_FILE.test(link)) {
      return [];
    }
    const info = unlessGone(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'), '');
    const offset = Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0);
    return { path: link.slice(root.length + 1), offset };
  });
}

/** The engine ends, or closes a file, whenever it likes. */
function unlessGone<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    if (errnoOf(error) === undefined) {
      throw error;
    }
    return otherwise;
  }
}

class FollowedFile {
  readonly path: string;
  readonly #parent: Directory;
  readonly #handle: FileHandle;
  readonly #sender: Sender;
  readonly #hash: Hash = createHash('sha256');
  readonly #buffers = alignedBuffers();
  #sentBytes = 0;

  private constructor(path: string, parent: Directory, handle: FileHandle, sender: Sender) {
    this.path = path;
    this.#parent = parent;
    this.#handle = handle;
    this.#sender = sender;
  }

  static async open({ directory, sender }: FollowerOptions, path: string): Promise<FollowedFile> {
    const names = path.split('/');
    const name = names.pop() ?? '';
    let parent = directory;
    for (const folder of names) {
      const child = await parent.directory(folder);
      if (parent !== directory) {
        await parent.close();
      }
      parent = child;
    }
    // As the engine writes it: the page cache could hold what was there before the engine wrote past it.
    const handle = await parent.openForReading(name, 'direct').catch(async (error: unknown) => {
      if (errnoOf(error) === 'EINVAL') {
        return await parent.openForReading(name);
      }
      throw error;
    });
    await sender.file(path);
    return new FollowedFile(path, parent, handle, sender);
  }

  /** Whole chunks only, the rest by {@link finish}. */
  async sendUpTo(offset: number, ended: AbortSignal): Promise<void> {
    while (offset - this.#sentBytes >= CHUNK_BYTES && !ended.aborted) {
      await this.#send(CHUNK_BYTES);
    }
  }

  async finish(onBytes: OnBytes): Promise<number> {
    const { size } = await this.#parent.on(() => this.#handle.stat());
    if (size < this.#sentBytes) {
      throw new TaskFailure('TransferFailed', `${this.path} became shorter while it was sent`);
    }
    onBytes(this.#sentBytes);
    while (this.#sentBytes < size) {
      const bytes = Math.min(CHUNK_BYTES, size - this.#sentBytes);
      await this.#send(bytes);
      onBytes(bytes);
    }
    const sha256 = this.#hash.digest('hex');
    this.#sender.noteSent({ path: this.path, sizeBytes: size, sha256 });
    return size;
  }

  async close(): Promise<void> {
    await this.#parent.closeFile(this.#handle);
  }

  async #send(bytes: number): Promise<void> {
    const at = this.#sentBytes;
    const buffer = this.#buffers[0] as Buffer;
    let done = 0;
    while (done < bytes) {
      const room = CHUNK_BYTES - done;
      const read = (): ReturnType<FileHandle['read']> =>
        this.#handle.read(buffer, done, room, at + done);
      const { bytesRead } = await this.#parent.on(read as () => Promise<{ bytesRead: number }>);
      if (bytesRead === 0) {
        throw new TaskFailure('TransferFailed', `${this.path} became shorter while it was sent`);
      }
      done += bytesRead;
    }
    const content = buffer.subarray(0, bytes);
    this.#hash.update(content);
    await this.#sender.data(content);
    this.#sentBytes += bytes;
  }
}
