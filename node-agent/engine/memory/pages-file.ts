// pages-N.img being written: past the page cache where the file system allows it, and never larger than announced.
import { constants } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { RAW_FILES } from '../image/image-files.ts';
import type { ImageWriter } from '../image/writer.ts';
import { FCNTL, fcntl, splice } from '../linux/descriptors.ts';
import { check, LinuxError } from '../linux/error.ts';
import { syscall } from '../linux/ffi.ts';

/** Hands out the N of pages-N.img: one counter for all processes and shared objects of an images directory. */
export class PagesIds {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

const EINTR = 4;
const MAX_TRIES = 1000;
/**
 * A file system that refuses O_DIRECT says so when the file is opened or with the first transfer. EIO: the disk cannot read
 * from that memory, or is broken; then the page cache cannot write either, which is noticed when it is synced.
 */
const REFUSES_DIRECT: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'EIO']);
const NO_PREALLOCATION: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOSYS', 'EINVAL']);

/** Appends whole pages to one pages-N.img. The descriptor belongs to the image writer, which syncs and closes it. */
export class PagesFile {
  readonly id: number;
  readonly #fd: number;
  #direct: boolean;
  #bytes = 0;

  private constructor(id: number, fd: number, direct: boolean) {
    this.id = id;
    this.#fd = fd;
    this.#direct = direct;
  }

  /**
   * @param expectedBytes room that is set aside at once, so that a full volume is noticed before the copy
   * @throws LinuxError ENOSPC, EDQUOT
   */
  static create(images: ImageWriter, ids: PagesIds, expectedBytes: number): PagesFile {
    const id = ids.next();
    const { fd, direct } = openDirect(images, RAW_FILES.pages(id));
    if (expectedBytes > 0) {
      const result = syscall(SYS.fallocate, fd, 0, 0, expectedBytes);
      const error = result < 0 ? new LinuxError('fallocate', -result) : undefined;
      if (error && !NO_PREALLOCATION.has(error.errno)) throw error;
    }
    return new PagesFile(id, fd, direct);
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Do transfers go past the page cache? */
  get direct(): boolean {
    return this.#direct;
  }

  /**
   * Moves up to `length` bytes out of a pipe that holds whole pages.
   *
   * @returns bytes moved, 0 when the pipe is empty and has no writer any more
   */
  splice(pipe: number, length: number): number {
    const moved = this.#transfer('splice', () => splice(pipe, this.#fd, length));
    this.#bytes += moved;
    return moved;
  }

  /** Appends memory of this process: page-aligned, whole pages. */
  append(address: bigint, length: number): void {
    for (let done = 0; done < length; ) {
      const from = address + BigInt(done);
      const written = this.#transfer('write', () =>
        syscall(SYS.write, this.#fd, from, length - done),
      );
      done += written;
      this.#bytes += written;
    }
  }

  #transfer(call: string, attempt: () => number): number {
    let result = attempt();
    // The engine's children and tracees send it SIGCHLD all the time
    for (let tries = 0; result === -EINTR && tries < MAX_TRIES; tries++) result = attempt();
    if (result >= 0) return result;
    const error = new LinuxError(call, -result, { object: RAW_FILES.pages(this.id) });
    if (!this.#direct || !REFUSES_DIRECT.has(error.errno)) throw error;
    fcntl(this.#fd, FCNTL.F_SETFL, 0);
    this.#direct = false;
    return check(attempt(), call, { object: RAW_FILES.pages(this.id) });
  }

  /** Gives back what was set aside and not used. */
  finish(): void {
    check(syscall(SYS.ftruncate, this.#fd, this.#bytes), 'ftruncate', {
      object: RAW_FILES.pages(this.id),
    });
  }
}

function openDirect(images: ImageWriter, file: string): { fd: number; direct: boolean } {
  try {
    return { fd: images.openRaw(file, constants.O_DIRECT), direct: true };
  } catch (error) {
    if ((error as { code?: string }).code !== 'EINVAL') throw error;
    return { fd: images.openRaw(file), direct: false };
  }
}
