// Walks one image from front to back: magic, records, the raw bytes between them. Nothing is believed before it is checked.
import { closeSync, readSync } from 'node:fs';
import type { Message } from './codec.ts';
import { ImageError } from './image-error.ts';
import { COMMON_MAGIC, type Image, SERVICE_MAGIC } from './image-files.ts';

/** Read ahead; most images fit in one piece. */
const WINDOW_BYTES = 256 << 10;
/** Longest message: the memory map with a million mappings stays below. */
const MAX_RECORD_BYTES = 64 << 20;

/** A record whose raw bytes are fetched only when asked for. */
export interface PayloadRecord<Rec> {
  readonly record: Rec;
  /** where the raw bytes lie in the file */
  readonly offset: number;
  readonly bytes: number;
  /** Copies the raw bytes into memory; only while the image is being walked. */
  readonly read: () => Uint8Array;
}

/** An open image. Every wrong byte ends in an {@link ImageError}. */
export class ImageCursor<Rec, Head> {
  readonly #image: Image<Rec, Head>;
  readonly #fd: number;
  readonly #fileBytes: number;
  #window = new Uint8Array(0);
  #windowStart = 0;
  #position = 0;
  #record = 0;

  /** Owns the descriptor from now on. */
  constructor(image: Image<Rec, Head>, fd: number, fileBytes: number) {
    this.#image = image;
    this.#fd = fd;
    this.#fileBytes = fileBytes;
    try {
      this.#checkMagic();
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  get atEnd(): boolean {
    return this.#position === this.#fileBytes;
  }

  /** First record of an image that begins with another kind of record. */
  head(): Head {
    const { head } = this.#image;
    if (!head) throw this.#wrong('has no head');
    return this.message(head);
  }

  /** All further records, without their raw bytes. */
  *records(): Generator<Rec> {
    for (const { record } of this.payloads()) yield record;
  }

  /** All further records with their raw bytes. */
  *payloads(): Generator<PayloadRecord<Rec>> {
    const { record: message, payload } = this.#image;
    while (!this.atEnd) {
      const record = this.message(message);
      const bytes = payload?.bytes(record) ?? 0;
      const align = payload?.align ?? 1;
      const padded = Math.ceil(bytes / align) * align;
      const offset = this.#position;
      this.#demand(padded);
      this.#position += padded;
      yield { record, offset, bytes, read: () => this.#bytesAt(offset, bytes) };
    }
  }

  /** The next record, whatever kind it is: for images that mix kinds. */
  message<T>(message: Message<T>): T {
    const start = this.#position;
    const length = this.#word();
    if (length > MAX_RECORD_BYTES) {
      throw this.#wrong(`record of ${length} bytes, at most ${MAX_RECORD_BYTES}`, start);
    }
    const data = this.bytes(length);
    const value = message.decode(data, { file: this.#image.file, record: this.#record });
    this.#record += 1;
    return value;
  }

  /** The next raw bytes. */
  bytes(count: number): Uint8Array {
    this.#demand(count);
    const data = this.#bytesAt(this.#position, count);
    this.#position += count;
    return data;
  }

  /** Everything behind the records read so far: content of a ghost file without chunks. */
  rest(): PayloadRecord<undefined> {
    const offset = this.#position;
    const bytes = this.#fileBytes - offset;
    this.#position = this.#fileBytes;
    return { record: undefined, offset, bytes, read: () => this.#bytesAt(offset, bytes) };
  }

  #checkMagic(): void {
    const { magic, framing } = this.#image;
    const first = this.#word();
    // version 1 wrote the type's magic alone
    if (first === magic) return;
    const common = framing === 'service' ? SERVICE_MAGIC : COMMON_MAGIC;
    if (framing === 'inventory' || first !== common) throw this.#unknownMagic(first);
    const second = this.#word();
    if (second !== magic) throw this.#unknownMagic(second);
  }

  #unknownMagic(found: number): ImageError {
    const hex = (n: number) => `0x${n.toString(16)}`;
    return this.#wrong(`magic ${hex(found)} where ${hex(this.#image.magic)} belongs`);
  }

  #word(): number {
    const data = this.bytes(4);
    return new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  }

  /** Refuses before anything is allocated. */
  #demand(count: number): void {
    const left = this.#fileBytes - this.#position;
    if (Number.isSafeInteger(count) && count <= left) return;
    throw this.#wrong(`${count} bytes announced, ${left} left: the file was cut short or damaged`);
  }

  #bytesAt(offset: number, count: number): Uint8Array {
    const from = offset - this.#windowStart;
    if (from >= 0 && from + count <= this.#window.length) {
      return this.#window.subarray(from, from + count);
    }
    // a new buffer each time: earlier records hold views of the old one
    const length = Math.min(Math.max(count, WINDOW_BYTES), this.#fileBytes - offset);
    const window = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const got = readSync(this.#fd, window, done, length - done, offset + done);
      if (got === 0) throw this.#wrong('the file shrank while it was read', offset + done);
      done += got;
    }
    this.#window = window;
    this.#windowStart = offset;
    return window.subarray(0, count);
  }

  #wrong(reason: string, offset = this.#position): ImageError {
    return new ImageError({ file: this.#image.file, record: this.#record, offset, reason });
  }
}
