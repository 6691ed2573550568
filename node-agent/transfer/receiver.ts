// The target's side of a transfer: writes the files as they come, sums them on the way, and says that it has them only
// when every one is what the manifest says. Nothing is synchronised to the disk: what a crash loses is thawed at its source.
import type { Directory } from '../bundle/directory.ts';
import { MANIFEST_FILE } from '../bundle/layout.ts';
import {
  bundleBytes,
  decodeManifest,
  type Manifest,
  manifestDigest,
  type ManifestFile,
} from '../bundle/manifest.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { FRAME, type Frame, type Offer, OFFER_VERSION } from './frames.ts';
import { IncomingFile } from './incoming-file.ts';
import { localFailure } from './local-space.ts';
import type { PeerStream } from './peer-stream.ts';
import { refusal } from './sender.ts';

const MAX_FILES = 1_000_000;

export interface ReceiverOptions {
  /** empty; becomes the bundle */
  readonly directory: Directory;
  readonly stream: PeerStream;
  /** @throws TaskFailure when there is no room for so many bytes */
  readonly assertRoom: (expectedBytes: number) => Promise<void>;
  readonly onStart: (bytesTotal: number) => void;
  readonly onBytes: (bytes: number) => void;
}

export interface ReceivedBundle {
  readonly digest: string;
  readonly bytes: number;
}

/** @throws TaskFailure, after the other side was told why */
export async function receiveBundle(options: ReceiverOptions): Promise<ReceivedBundle> {
  const receiver = new Receiver(options);
  try {
    const received = await receiver.receive();
    await options.stream.send(FRAME.stored);
    return received;
  } catch (error) {
    const failure = localFailure(error, 'writing what is received');
    const { code = 'TransferFailed' } = failure as Partial<TaskFailure>;
    const told = JSON.stringify({ code, message: messageOf(failure) });
    await options.stream.send(FRAME.failed, told).catch(() => undefined);
    throw failure;
  } finally {
    await receiver.close();
  }
}

class Receiver {
  readonly #options: ReceiverOptions;
  readonly #files = new Map<string, ManifestFile>();
  #current: IncomingFile | undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  async receive(): Promise<ReceivedBundle> {
    for await (const frames of this.#options.stream.frames()) {
      for (const frame of frames) {
        // Nearly all are pieces of a file, and nearly always there is room for them.
        const taking = this.#take(frame);
        const received = taking && (await taking);
        if (received !== undefined) {
          return received;
        }
      }
    }
    const facts = 'the other agent hung up before it had sent everything';
    throw new TaskFailure('TransferFailed', facts);
  }

  async close(): Promise<void> {
    await this.#current?.close();
  }

  #take({ kind, content }: Frame): Promise<ReceivedBundle | undefined> | undefined {
    switch (kind) {
      case FRAME.offer:
        return this.#offered(content);
      case FRAME.file:
        return this.#beginFile(content.toString());
      case FRAME.data:
        this.#options.onBytes(content.length);
        return this.#open.write(content);
      case FRAME.manifest:
        return this.#complete(content);
      case FRAME.failed:
        throw refusal(content);
      case FRAME.ready:
      case FRAME.stored:
      case FRAME.alive:
        return undefined;
    }
  }

  async #offered(content: Buffer): Promise<undefined> {
    const { version, expectedBytes } = JSON.parse(content.toString()) as Partial<Offer>;
    if (version !== OFFER_VERSION || typeof expectedBytes !== 'number') {
      throw new TaskFailure('TransferFailed', 'the other agent speaks another version');
    }
    await this.#options.assertRoom(expectedBytes);
    this.#options.onStart(expectedBytes);
    await this.#options.stream.send(FRAME.ready);
    return undefined;
  }

  get #open(): IncomingFile {
    if (this.#current === undefined) {
      throw new TaskFailure('TransferFailed', 'the other agent sent bytes of no file');
    }
    return this.#current;
  }

  async #beginFile(path: string): Promise<undefined> {
    await this.#endFile();
    if (this.#files.size >= MAX_FILES || path === MANIFEST_FILE) {
      throw new TaskFailure('BundleInvalid', `the bundle cannot have another file ${path}`);
    }
    this.#current = await IncomingFile.create(this.#options.directory, path);
  }

  async #endFile(): Promise<void> {
    const file = this.#current;
    if (file !== undefined) {
      this.#files.set(file.path, await file.finish());
      this.#current = undefined;
    }
  }

  async #complete(text: Buffer): Promise<ReceivedBundle> {
    await this.#endFile();
    const manifest = decodeManifest(text.toString(), 'gmac');
    compare(manifest, this.#files);
    await this.#options.directory.writeFile(MANIFEST_FILE, text);
    return { digest: manifestDigest(text), bytes: bundleBytes(manifest) + text.length };
  }
}

/** As verifyBundle does it with a bundle on a store. @throws TaskFailure BundleCorrupt */
function compare({ files }: Manifest, received: ReadonlyMap<string, ManifestFile>): void {
  for (const { path, sizeBytes, gmac } of files) {
    const found = received.get(path);
    if (found?.sizeBytes !== sizeBytes || found.gmac !== gmac) {
      const facts = `${path} did not arrive as it was sent: ${found?.sizeBytes ?? 'no'} bytes instead of ${sizeBytes}, gmac ${found?.gmac} instead of ${gmac}`;
      throw new TaskFailure('BundleCorrupt', facts);
    }
  }
  if (files.length !== received.size) {
    const facts = `${received.size} files arrived, the manifest knows ${files.length}`;
    throw new TaskFailure('BundleCorrupt', facts);
  }
}
