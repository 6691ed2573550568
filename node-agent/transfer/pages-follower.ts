// Sends the pages of the first large process while the engine still writes them, so that the stream does not begin only
// when the disk is done; where there are rounds, the first one of each. How far the engine is, the kernel tells: the offset of its descriptor. Pages are only appended.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OnBytes } from '../bundle/digest.ts';
import type { Directory } from '../bundle/directory.ts';
import { errnoOf } from '../task-failure.ts';
import { localFailure } from './local-space.ts';
import { OutgoingFile } from './outgoing-file.ts';
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
  readonly #closed = new AbortController();
  /** ends when the engine pauses, or is done */
  #writing = new AbortController();
  #following: Promise<void>;
  #finishing: Promise<void> | undefined;
  #file: OutgoingFile | undefined;
  /** aborts when it cannot go on, and with the sender */
  readonly signal: AbortSignal;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#root = readlinkSync(options.directory.externalPath);
    this.signal = AbortSignal.any([options.sender.signal, this.#failed.signal]);
    this.#following = this.#follow();
  }

  /** The engine waits between two rounds: sends all that it has written, and follows it again. */
  async catchUp(): Promise<void> {
    this.#finishing = this.#catchUp();
    await this.#finishing;
  }

  async #catchUp(): Promise<void> {
    const { directory, sender } = this.#options;
    const ignore = (): void => undefined;
    try {
      await this.#finish(ignore);
      await sender.sendTree(directory, ignore);
    } catch (error) {
      this.#failed.abort(error);
      throw error;
    }
    this.#writing = new AbortController();
    this.#following = this.#follow();
  }

  /** The engine is done: sends the rest of the file. @param onBytes is told of all bytes of it */
  async finish(onBytes: OnBytes): Promise<void> {
    this.#finishing = this.#finish(onBytes);
    await this.#finishing;
  }

  async #finish(onBytes: OnBytes): Promise<void> {
    this.#writing.abort();
    await this.#following;
    this.signal.throwIfAborted();
    if (this.#file !== undefined) {
      this.#options.sender.noteSent(await this.#file.finish(onBytes, this.#closed.signal));
      await this.#file[Symbol.asyncDispose]();
      this.#file = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#writing.abort();
    this.#closed.abort(new Error('the pages are not wanted any more'));
    await Promise.allSettled([this.#following, this.#finishing]);
    await this.#file?.[Symbol.asyncDispose]();
  }

  async #follow(): Promise<void> {
    const ended = AbortSignal.any([this.signal, this.#writing.signal]);
    try {
      while (!ended.aborted) {
        if (!(await this.#sendWritten(ended))) {
          await sleep(LOOK_MILLIS, undefined, { signal: ended }).catch(() => undefined);
        }
      }
    } catch (error) {
      this.#failed.abort(localFailure(error, 'reading pages as they are written'));
    }
  }

  /** @returns false when nothing new was there */
  async #sendWritten(ended: AbortSignal): Promise<boolean> {
    const writing = this.#look();
    if (writing === undefined) {
      return false;
    }
    const { directory, sender } = this.#options;
    this.#file ??= await OutgoingFile.open(directory, writing.path, sender);
    return await this.#file.sendUpTo(writing.offset, ended);
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
