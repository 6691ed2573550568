// The source's side of a transfer: offers a bundle, sends its files once there is room, and believes that it has arrived
// only when the target has compared every byte.
import { alignedBuffers, BUFFERS, type OnBytes } from '../bundle/digest.ts';
import type { Directory } from '../bundle/directory.ts';
import { MANIFEST_FILE } from '../bundle/layout.ts';
import type { ManifestFile } from '../bundle/manifest.ts';
import { listFiles } from '../bundle/tree.ts';
import { TASK_ERROR_CODES } from '../../crds/conditions.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { Bandwidth } from './bandwidth.ts';
import { FRAME, type Frame, type Offer, OFFER_VERSION, type Refusal } from './frames.ts';
import { localFailure } from './local-space.ts';
import { OutgoingFile } from './outgoing-file.ts';
import { PeerStream, type PeerStreamOptions } from './peer-stream.ts';

export interface SenderOptions extends PeerStreamOptions {
  /** undefined: as fast as it goes */
  readonly bytesPerSecond?: number | undefined;
}

export class Sender implements AsyncDisposable {
  readonly #stream: PeerStream;
  readonly #bandwidth: Bandwidth;
  readonly #broken = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  readonly #stored = Promise.withResolvers<void>();
  readonly #sent = new Map<string, ManifestFile>();
  readonly #buffers = alignedBuffers();
  readonly #listening: Promise<void>;
  /** aborts with the reason when the target says no or the connection breaks, and with the task */
  readonly signal: AbortSignal;

  constructor(options: SenderOptions) {
    this.signal = AbortSignal.any([options.signal, this.#broken.signal]);
    this.#stream = new PeerStream(options);
    this.#bandwidth = new Bandwidth(options.bytesPerSecond);
    // Whoever does not wait for them just now learns of it by `signal`.
    this.#ready.promise.catch(() => undefined);
    this.#stored.promise.catch(() => undefined);
    this.#listening = this.#listen();
  }

  /** Resolves when the target has room. @throws TaskFailure NodeSpaceFull, TransferFailed */
  async offer(expectedBytes: number): Promise<void> {
    const offer: Offer = { version: OFFER_VERSION, expectedBytes };
    await this.#say(FRAME.offer, JSON.stringify(offer));
    await this.#ready.promise;
  }

  /** The next file; its bytes follow by {@link data}. */
  async file(path: string): Promise<void> {
    await this.#say(FRAME.file, path);
  }

  /** Resolves when the caller may use the memory of the bytes again. */
  async data(bytes: Uint8Array): Promise<void> {
    await this.#say(FRAME.data, bytes);
    await this.#bandwidth.pause(bytes.byteLength, this.signal);
  }

  /** What chunk `index` of a file is read into; its turn comes again after BUFFERS chunks. */
  bufferOf(index: number): Buffer {
    return this.#buffers[index % BUFFERS] as Buffer;
  }

  /** An {@link OutgoingFile} was sent by somebody else. */
  noteSent(file: ManifestFile): void {
    this.#sent.set(file.path, file);
  }

  /** Sends what was not sent yet. @returns all files, with the checksums of what was sent */
  async sendTree(root: Directory, onBytes: OnBytes): Promise<ManifestFile[]> {
    try {
      for (const { path } of await listFiles(root)) {
        if (path !== MANIFEST_FILE && !this.#sent.has(path)) {
          await using file = await OutgoingFile.open(root, path, this);
          this.#sent.set(path, await file.finish(onBytes));
        }
      }
      return [...this.#sent.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    } catch (error) {
      throw localFailure(error, 'reading what is to be sent');
    }
  }

  /** The last word. Resolves when the target has the whole bundle. */
  async finish(manifest: Uint8Array): Promise<void> {
    await this.#say(FRAME.manifest, manifest);
    await this.#stored.promise;
  }

  async #say(kind: Parameters<PeerStream['send']>[0], content: Uint8Array | string): Promise<void> {
    this.signal.throwIfAborted();
    try {
      await this.#stream.send(kind, content);
    } catch (error) {
      // What the target said last explains why it hung up.
      await this.#stored.promise;
      throw error;
    }
  }

  async #listen(): Promise<void> {
    try {
      for await (const frames of this.#stream.frames()) {
        frames.forEach((frame) => this.#hear(frame));
      }
      throw new TaskFailure('TransferFailed', 'the other agent hung up before it had everything');
    } catch (error) {
      this.#broken.abort(error);
      this.#ready.reject(error);
      this.#stored.reject(error);
    }
  }

  #hear({ kind, content }: Frame): void {
    if (kind === FRAME.ready) {
      this.#ready.resolve();
    } else if (kind === FRAME.stored) {
      this.#stored.resolve();
    } else if (kind === FRAME.failed) {
      throw refusal(content);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream[Symbol.asyncDispose]();
    await this.#listening;
  }
}

/** What the other side says of itself, in our own words where we know them. */
export function refusal(content: Buffer): TaskFailure {
  try {
    const { code, message } = JSON.parse(content.toString()) as Partial<Refusal>;
    const known = TASK_ERROR_CODES.find((one) => one === code) ?? 'TransferFailed';
    return new TaskFailure(known, `the other agent: ${String(message)}`);
  } catch (error) {
    return new TaskFailure('TransferFailed', `the other agent gave up: ${messageOf(error)}`);
  }
}
