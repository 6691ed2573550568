// One file as it comes off the wire: summed, and written while the next bytes are being decrypted.
import type { FileHandle } from 'node:fs/promises';
import { type Summing, summing } from '../bundle/checksum.ts';
import type { Directory } from '../bundle/directory.ts';
import type { ManifestFile } from '../bundle/manifest.ts';
import { TaskFailure } from '../task-failure.ts';
import { enter, leave } from './folders.ts';

const WRITE_BYTES = 1 << 20;
/** More than these are waited for: what came in must not pile up in memory when the disk is slow. */
const MAX_WRITES = 4;
const MAX_DEPTH = 8;

export class IncomingFile {
  readonly path: string;
  readonly #root: Directory;
  readonly #folder: Directory;
  readonly #handle: FileHandle;
  readonly #sum: Summing = summing('gmac');
  readonly #writes: Promise<undefined>[] = [];
  #pieces: Buffer[] = [];
  #pendingBytes = 0;
  #sizeBytes = 0;

  private constructor(path: string, root: Directory, folder: Directory, handle: FileHandle) {
    this.path = path;
    this.#root = root;
    this.#folder = folder;
    this.#handle = handle;
  }

  /** Makes it, with its folders. @throws TaskFailure BundleInvalid */
  static async create(root: Directory, path: string): Promise<IncomingFile> {
    const names = path.split('/');
    if (names.length > MAX_DEPTH) {
      throw new TaskFailure('BundleInvalid', `the path ${path.slice(0, 80)}… is nested too deeply`);
    }
    const folder = await enter(root, names.slice(0, -1), { make: true });
    const handle = await folder.create(names.at(-1) ?? '');
    return new IncomingFile(path, root, folder, handle);
  }

  /** @param piece is kept until it is written. @returns what to wait for when there is no room for more */
  write(piece: Buffer): Promise<undefined> | undefined {
    this.#sum.update(piece);
    this.#pieces.push(piece);
    this.#pendingBytes += piece.length;
    this.#sizeBytes += piece.length;
    if (this.#pendingBytes >= WRITE_BYTES) {
      this.#flush();
    }
    return this.#writes.length > MAX_WRITES ? this.#writes.shift() : undefined;
  }

  async finish(): Promise<ManifestFile> {
    this.#flush();
    await Promise.all(this.#writes);
    await this.close();
    return { path: this.path, sizeBytes: this.#sizeBytes, ...this.#sum.end() };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#writes);
    await this.#folder.closeFile(this.#handle);
    await leave(this.#folder, this.#root);
  }

  #flush(): void {
    const write = this.#writeAll(this.#pieces, this.#sizeBytes - this.#pendingBytes);
    // Awaited in its turn.
    write.catch(() => undefined);
    this.#writes.push(write);
    this.#pieces = [];
    this.#pendingBytes = 0;
  }

  async #writeAll(pieces: readonly Buffer[], at: number): Promise<undefined> {
    let [left, offset] = [pieces, at];
    while (left.length > 0) {
      const write = async () => await this.#handle.writev(left, offset);
      const { bytesWritten } = await this.#folder.on(write);
      offset += bytesWritten;
      left = withoutFirst(left, bytesWritten);
    }
    return undefined;
  }
}

/** What is left of `pieces` after so many bytes of them. */
function withoutFirst(pieces: readonly Buffer[], bytes: number): Buffer[] {
  let gone = bytes;
  return pieces.flatMap((piece) => {
    const rest = piece.subarray(Math.min(gone, piece.length));
    gone -= piece.length - rest.length;
    return rest.length === 0 ? [] : [rest];
  });
}
