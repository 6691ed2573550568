// Writes an images directory: files come to be with their first record, all bytes are buffered, `seal` makes them durable.
import { closeSync, constants, fstatSync, type PathLike, symlinkSync, writeSync } from 'node:fs';
import { Writer } from 'protobufjs/minimal.js';
import type { Message } from './codec.ts';
import { ImageError } from './image-error.ts';
import {
  type AnyImage,
  COMMON_MAGIC,
  type Image,
  PARENT_LINK,
  SERVICE_MAGIC,
} from './image-files.ts';
import { ImagesDirectory } from './images-directory.ts';
import { syncFileSystem } from '../linux/file-facts.ts';

/** What is buffered of one file before it is written. */
const SPILL_BYTES = 1 << 20;

interface PendingFile {
  readonly buffer: Writer;
  /** records so far, the head included */
  records: number;
  /** already in the file */
  writtenBytes: number;
}

/** What lies in a sealed directory. */
export interface SealedImages {
  readonly files: readonly string[];
  readonly bytes: number;
}

/** Writes images into one directory; one writer owns it. Dispose of it without sealing to give up. */
export class ImageWriter {
  readonly #directory: ImagesDirectory;
  readonly #pending = new Map<string, PendingFile>();
  readonly #rawFiles = new Map<string, number>();
  #open = true;

  /** @param directory  exists already */
  constructor(directory: PathLike) {
    this.#directory = new ImagesDirectory(directory);
  }

  /** Closes everything; what was not sealed may be incomplete. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    for (const fd of this.#rawFiles.values()) closeSync(fd);
    this.#directory[Symbol.dispose]();
  }

  /** Bytes of all images so far, pages included. */
  get bytes(): number {
    let sum = 0;
    for (const { writtenBytes, buffer } of this.#pending.values()) sum += writtenBytes + buffer.pos;
    for (const fd of this.#rawFiles.values()) sum += fstatSync(fd).size;
    return sum;
  }

  /** Appends records; without any the image is not created. */
  write<Rec>(image: Image<Rec, unknown>, records: Iterable<Rec>): void {
    for (const record of records) this.append(image, record);
  }

  /**
   * Appends one record and the raw bytes that belong to it.
   *
   * @throws ImageError when the bytes are not as many as the record announces
   */
  append<Rec>(image: Image<Rec, unknown>, record: Rec, payload?: Uint8Array): void {
    const { file } = image;
    const announced = image.payload?.bytes(record) ?? 0;
    const given = payload?.length ?? 0;
    if (announced !== given) {
      const pending = this.#pending.get(file);
      throw new ImageError({
        file,
        record: pending?.records ?? 0,
        reason: `announces ${announced} raw bytes and comes with ${given}`,
      });
    }
    this.appendMessage(image, image.record, record);
    if (!payload || !image.payload) return;
    const { align } = image.payload;
    this.appendRaw(image, payload);
    this.appendRaw(image, new Uint8Array((align - (given % align)) % align));
  }

  /** Writes the first record of an image that begins with another kind of record: pagemap, ghost-file. */
  head<Head>(image: Image<unknown, Head>, head: Head): void {
    if (!image.head || this.#pending.has(image.file)) {
      throw new ImageError({ file: image.file, reason: 'has no head, or has it already' });
    }
    this.appendMessage(image, image.head, head);
  }

  /** Appends a record of any kind: for images that mix kinds of records, ipcns-msg. */
  appendMessage<T>(image: AnyImage, message: Message<T>, value: T): void {
    const pending = this.#fileOf(image);
    const { buffer } = pending;
    const start = buffer.pos;
    buffer.fixed32(0);
    try {
      message.encodeTo(buffer, value, { file: image.file, record: pending.records });
    } catch (error) {
      buffer.pos = start;
      buffer.states = null;
      throw error;
    }
    const length = buffer.pos - start - 4;
    new DataView(buffer.buf.buffer, buffer.buf.byteOffset).setUint32(start, length, true);
    pending.records += 1;
    this.#spill(image.file, pending);
  }

  /** Appends bytes as they are: content of a ghost file without chunks. Large content is not held in memory. */
  appendRaw(image: AnyImage, content: Uint8Array): void {
    const pending = this.#fileOf(image);
    pending.buffer.raw(content);
    this.#spill(image.file, pending);
  }

  /** Makes the link to the directory that these images build on. */
  linkParent(target: string): void {
    symlinkSync(target, this.#directory.pathOf(PARENT_LINK));
  }

  /**
   * Creates a raw file, `RAW_FILES.pages(1)`, and opens it for writing. The descriptor stays this writer's: `seal` syncs
   * and closes it.
   *
   * @param extraFlags  O_DIRECT and the like
   */
  openRaw(file: string, extraFlags = 0): number {
    const { O_RDWR, O_CREAT, O_TRUNC } = constants;
    const { fd } = this.#directory.open(file, O_RDWR | O_CREAT | O_TRUNC | extraFlags);
    this.#rawFiles.set(file, fd);
    return fd;
  }

  /**
   * Writes all that is buffered, then makes files and directory durable if asked to. The writer is closed afterwards.
   * One syncfs(2) does it for all, 10 to 30 ms for 200 files, where as many fsync(2) take 200 to 350. It waits for what
   * others have written to this file system as well, and since Linux 5.8 tells every error since the directory was opened.
   */
  seal({ durable = true }: { readonly durable?: boolean } = {}): SealedImages {
    const bytes = this.bytes;
    const files = [...this.#pending.keys(), ...this.#rawFiles.keys()].sort();
    for (const [file, pending] of this.#pending) closeSync(this.#flush(file, pending));
    if (durable) syncFileSystem(this.#directory.fd, this.#directory.path);
    for (const fd of this.#rawFiles.values()) closeSync(fd);
    this.#rawFiles.clear();
    this[Symbol.dispose]();
    return { files, bytes };
  }

  #fileOf(image: AnyImage): PendingFile {
    const known = this.#pending.get(image.file);
    if (known) return known;
    const pending = { buffer: new Writer(), records: 0, writtenBytes: 0 };
    if (image.framing === 'image') pending.buffer.fixed32(COMMON_MAGIC);
    if (image.framing === 'service') pending.buffer.fixed32(SERVICE_MAGIC);
    pending.buffer.fixed32(image.magic);
    this.#pending.set(image.file, pending);
    return pending;
  }

  #spill(file: string, pending: PendingFile): void {
    if (pending.buffer.pos >= SPILL_BYTES) closeSync(this.#flush(file, pending));
  }

  /** Writes what is buffered; the caller closes the descriptor. */
  #flush(file: string, pending: PendingFile): number {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants;
    const how = pending.writtenBytes === 0 ? O_CREAT | O_TRUNC : O_APPEND;
    const { fd } = this.#directory.open(file, O_WRONLY | how);
    const content = pending.buffer.finish(true);
    try {
      for (let done = 0; done < content.length; ) done += writeSync(fd, content, done);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    pending.writtenBytes += content.length;
    pending.buffer.reset();
    return fd;
  }
}
