// Checksums of files, streamed. Large ones are read past the page cache, which is two to three times faster here and
// sees what is on the disk; one buffer is being summed while the others are being filled.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { type Checksum, type ChecksumKind, summing } from './checksum.ts';
import type { Directory } from './directory.ts';

export const CHUNK_BYTES = 1 << 20;
export const BUFFERS = 4;
/** Smaller files come from the page cache: they are in it, and soon read. */
export const DIRECT_FROM_BYTES = 8 << 20;
const WASM_PAGE_BYTES = 65536;

export interface FileDigest extends Checksum {
  readonly sizeBytes: number;
}

/** Called with the number of bytes read since the last call. */
export type OnBytes = (bytes: number) => void;

export const sha256Hex = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

/** For one pass over many files; memory stays at 4 MiB. */
export class Digester {
  readonly #signal: AbortSignal;
  readonly #onBytes: OnBytes | undefined;
  readonly #kind: ChecksumKind;
  #buffers: readonly Buffer[] = [];

  /** @param signal aborts between chunks */
  constructor(signal: AbortSignal, onBytes?: OnBytes, kind: ChecksumKind = 'sha256') {
    this.#signal = signal;
    this.#onBytes = onBytes;
    this.#kind = kind;
  }

  /** @param path below `root`, components checked by the caller; links are not followed */
  async digest(root: Directory, path: string): Promise<FileDigest> {
    const slash = path.indexOf('/');
    if (slash < 0) {
      return await this.#digestFile(root, path);
    }
    await using child = await root.directory(path.slice(0, slash));
    return await this.digest(child, path.slice(slash + 1));
  }

  async #digestFile(directory: Directory, name: string): Promise<FileDigest> {
    const { size } = await directory.lstat(name);
    if (size >= DIRECT_FROM_BYTES) {
      const digest = await this.#tryDirect(directory, name);
      if (digest !== undefined) {
        return digest;
      }
    }
    const handle = await directory.openForReading(name);
    try {
      return await this.#stream(directory, handle);
    } finally {
      await directory.closeFile(handle);
    }
  }

  /** undefined where the file system knows no O_DIRECT (tmpfs, some network ones). */
  async #tryDirect(directory: Directory, name: string): Promise<FileDigest | undefined> {
    let handle: FileHandle | undefined;
    try {
      handle = await directory.openForReading(name, 'direct');
      return await this.#stream(directory, handle);
    } catch (error) {
      if (errnoOf(error) === 'EINVAL') {
        return undefined;
      }
      throw error;
    } finally {
      if (handle !== undefined) {
        await directory.closeFile(handle);
      }
    }
  }

  async #stream(directory: Directory, handle: FileHandle): Promise<FileDigest> {
    this.#buffers = this.#buffers.length === 0 ? alignedBuffers() : this.#buffers;
    const { size: sizeBytes } = await directory.on(() => handle.stat());
    const sum = summing(this.#kind);
    const chunks = Math.ceil(sizeBytes / CHUNK_BYTES);
    const inFlight: Promise<number>[] = [];
    try {
      for (let chunk = 0; chunk < chunks; chunk++) {
        for (let next = chunk + inFlight.length; inFlight.length < BUFFERS; next++) {
          inFlight.push(directory.on(() => this.#fill(handle, next, sizeBytes)));
        }
        const bytes = (await inFlight.shift()) ?? 0;
        this.#signal.throwIfAborted();
        const content = this.#bufferOf(chunk).subarray(0, bytes);
        sum.update(content);
        this.#onBytes?.(bytes);
      }
      return { ...sum.end(), sizeBytes };
    } finally {
      // Nobody may still be writing to the buffers when the next file takes them.
      await Promise.allSettled(inFlight);
    }
  }

  /** Reads a whole chunk, in several pieces if the file system likes: a short read is not yet the end. */
  async #fill(handle: FileHandle, chunk: number, sizeBytes: number): Promise<number> {
    const start = chunk * CHUNK_BYTES;
    const want = Math.max(Math.min(CHUNK_BYTES, sizeBytes - start), 0);
    let done = 0;
    while (done < want) {
      const room = CHUNK_BYTES - done;
      const { bytesRead } = await handle.read(this.#bufferOf(chunk), done, room, start + done);
      if (bytesRead === 0) {
        throw new TaskFailure('BundleCorrupt', 'a file became shorter while it was read');
      }
      done += bytesRead;
    }
    return Math.min(done, want);
  }

  #bufferOf(chunk: number): Buffer {
    return this.#buffers[chunk % BUFFERS] as Buffer;
  }
}

/** The part of WebAssembly's global that is used; the type library of Node lacks it. */
interface WasmGlobal {
  readonly WebAssembly: {
    readonly Memory: new (options: {
      readonly initial: number;
      readonly maximum: number;
    }) => {
      readonly buffer: ArrayBuffer;
    };
  };
}

/** O_DIRECT wants buffers at page borders, which Node does not promise; memory of WebAssembly lies there. */
export function alignedBuffers(): Buffer[] {
  const pages = (BUFFERS * CHUNK_BYTES) / WASM_PAGE_BYTES;
  const { WebAssembly } = globalThis as unknown as WasmGlobal;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return Array.from({ length: BUFFERS }, (_, i) =>
    Buffer.from(buffer, i * CHUNK_BYTES, CHUNK_BYTES),
  );
}
