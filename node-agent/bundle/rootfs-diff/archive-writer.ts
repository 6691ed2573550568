// A pax archive being written to a file: one buffer, entry by entry.
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { TaskFailure } from '../../task-failure.ts';
import { END_OF_ARCHIVE, encodeHeader } from './pax-writer.ts';
import { BLOCK_BYTES, type SparseRange, type TarEntry } from './tar-entry.ts';

const BUFFER_BYTES = 1 << 20;

export class ArchiveWriter {
  readonly #fd: number;
  readonly #maxBytes: number;
  readonly #onBytes: (bytes: number) => void;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #bytes = 0;
  #entries = 0;
  #closed = false;

  /** @param maxBytes 0 for no limit */
  constructor(path: string, maxBytes: number, onBytes: (bytes: number) => void) {
    this.#fd = openSync(path, 'wx', 0o600);
    this.#maxBytes = maxBytes;
    this.#onBytes = onBytes;
  }

  get entries(): number {
    return this.#entries;
  }

  /** An entry without content. */
  add(entry: TarEntry): void {
    this.#entries++;
    this.#write(encodeHeader(entry).bytes);
  }

  /** A file whose content is read from `fd`; should it shrink meanwhile, zeros take the place of what is gone. */
  addFile(entry: TarEntry, fd: number): void {
    this.#entries++;
    const { bytes, contentBytes } = encodeHeader(entry);
    this.#write(bytes);
    for (const range of entry.ranges ?? [{ offset: 0, length: entry.sizeBytes }]) {
      this.#copy(fd, range);
    }
    this.#write(Buffer.alloc((BLOCK_BYTES - (contentBytes % BLOCK_BYTES)) % BLOCK_BYTES));
  }

  /** @returns bytes of the archive */
  finish(): number {
    this.#write(END_OF_ARCHIVE);
    fsyncSync(this.#fd);
    this.close();
    return this.#bytes;
  }

  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      closeSync(this.#fd);
    }
  }

  #copy(fd: number, { offset, length }: SparseRange): void {
    for (let done = 0; done < length; ) {
      const want = Math.min(length - done, BUFFER_BYTES);
      const got = readSync(fd, this.#buffer, 0, want, offset + done);
      if (got === 0) {
        this.#buffer.fill(0, 0, want);
      }
      done += this.#write(this.#buffer.subarray(0, got === 0 ? want : got));
    }
  }

  #write(bytes: Buffer): number {
    this.#bytes += bytes.length;
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      const facts = `the changed files of the container need more than the ${this.#maxBytes} bytes left`;
      throw new TaskFailure('BudgetExceeded', facts);
    }
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done);
    }
    this.#onBytes(this.#bytes);
    return bytes.length;
  }
}
