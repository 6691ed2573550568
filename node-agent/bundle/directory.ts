// Directories of a volume that others can write to, held open and walked one name at a time, so that no
// symbolic link is ever followed. Node has no openat(2); /proc/self/fd/N/NAME is the same thing: the kernel
// jumps to the open directory itself, and NAME is looked up in it with O_NOFOLLOW (proc_pid_fd(5)).
import { type BigIntStats, constants, type Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { errnoOf, TaskFailure } from '../task-failure.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_DIRECT } = constants;
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;

/**
 * All descriptors of one stay on a volume. When the volume goes away, `drop` makes every further use fail and
 * closes them as soon as the calls in flight have ended.
 */
export class Lease {
  readonly #handles = new Set<FileHandle>();
  /** whether what is written must be on the disk before the next step: not where it only passes through */
  readonly durable: boolean;
  #reason: Error | undefined;
  #calls = 0;

  constructor({ durable = true }: { readonly durable?: boolean } = {}) {
    this.durable = durable;
  }

  get dropped(): boolean {
    return this.#reason !== undefined;
  }

  /** Runs one call on a descriptor. @throws the reason of `drop` */
  async use<T>(call: () => Promise<T>): Promise<T> {
    if (this.#reason !== undefined) {
      throw this.#reason;
    }
    this.#calls++;
    try {
      return await call();
    } finally {
      // The number of a closed descriptor is given to the next file at once: nobody may still be using it.
      if (--this.#calls === 0 && this.#reason !== undefined) {
        await this.#closeAll();
      }
    }
  }

  keep(handle: FileHandle): FileHandle {
    this.#handles.add(handle);
    return handle;
  }

  async close(handle: FileHandle): Promise<void> {
    if (this.#handles.delete(handle)) {
      await handle.close();
    }
  }

  /** Gives up everything; idempotent. Later uses throw `reason`. */
  async drop(reason: Error): Promise<void> {
    this.#reason ??= reason;
    if (this.#calls === 0) {
      await this.#closeAll();
    }
  }

  async #closeAll(): Promise<void> {
    const handles = [...this.#handles];
    this.#handles.clear();
    // A descriptor on a vanished volume may refuse even close(2); it is gone all the same.
    await Promise.allSettled(handles.map((handle) => handle.close()));
  }
}

/** One open directory. Names are single path components. Errors are those of the system calls. */
export class Directory implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #lease: Lease;
  #closed = false;
  /** for messages: the path below the volume */
  label: string;

  private constructor(handle: FileHandle, lease: Lease, label: string) {
    this.#handle = handle;
    this.#lease = lease;
    this.label = label;
  }

  /** Opens a path that we trust: every component may be a link. */
  static async openTrusted(path: string, lease: Lease, label: string): Promise<Directory> {
    const handle = await lease.use(() => fs.open(path, O_RDONLY | O_DIRECTORY));
    return new Directory(lease.keep(handle), lease, label);
  }

  /** Path under which another process of ours reaches this directory while we keep it open. */
  get externalPath(): string {
    return `/proc/${process.pid}/fd/${this.#handle.fd}`;
  }

  /** @throws ENOTDIR or ELOOP when the name is a link or no directory */
  async directory(name: string): Promise<Directory> {
    const handle = await this.#use(name, (path) =>
      fs.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
    );
    return new Directory(this.#lease.keep(handle), this.#lease, `${this.label}/${name}`);
  }

  async makeDirectory(name: string): Promise<void> {
    await this.#use(name, (path) => fs.mkdir(path, { mode: OWNER_ONLY_DIRECTORY }));
  }

  async lstat(name: string): Promise<BigIntStats> {
    return await this.#use(name, (path) => fs.lstat(path, { bigint: true }));
  }

  /** As {@link lstat}, undefined when there is no such name. */
  async find(name: string): Promise<BigIntStats | undefined> {
    try {
      return await this.lstat(name);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') {
        return undefined;
      }
      throw error;
    }
  }

  async stat(): Promise<BigIntStats> {
    return await this.#lease.use(() => this.#handle.stat({ bigint: true }));
  }

  async entries(): Promise<Dirent[]> {
    return await this.#use(undefined, (path) => fs.readdir(path, { withFileTypes: true }));
  }

  /** @param way `direct`: past the page cache; EINVAL where the file system cannot */
  async openForReading(name: string, way: 'cached' | 'direct' = 'cached'): Promise<FileHandle> {
    const flags = O_RDONLY | O_NOFOLLOW | (way === 'direct' ? O_DIRECT : 0);
    const handle = await this.#use(name, (path) => fs.open(path, flags));
    return this.#lease.keep(handle);
  }

  /** Makes a file that must not exist yet. */
  async create(name: string): Promise<FileHandle> {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const handle = await this.#use(name, (path) => fs.open(path, flags, OWNER_ONLY_FILE));
    return this.#lease.keep(handle);
  }

  async closeFile(handle: FileHandle): Promise<void> {
    await this.#lease.close(handle);
  }

  /** Runs one call on an open file of this directory, unless the volume was given up. */
  async on<T>(call: () => Promise<T>): Promise<T> {
    return await this.#lease.use(call);
  }

  /** Makes the content of an open file durable; fsync(2), unless nothing here has to be. */
  async syncFile(handle: FileHandle): Promise<void> {
    if (this.#lease.durable) {
      await this.on(() => handle.sync());
    }
  }

  /** Writes a whole small file and makes it durable; replaces an unfinished one of an earlier attempt. */
  async writeFile(name: string, content: string | Uint8Array): Promise<void> {
    await this.removeFile(name);
    const handle = await this.create(name);
    try {
      await this.on(() => handle.writeFile(content));
      await this.syncFile(handle);
    } finally {
      await this.closeFile(handle);
    }
  }

  /** @param maxBytes refuses larger files: what lies on a volume is not to be trusted */
  async readFile(name: string, maxBytes: number): Promise<Buffer> {
    const handle = await this.openForReading(name);
    try {
      const { size } = await this.on(() => handle.stat());
      if (size > maxBytes) {
        const facts = `${this.label}/${name} has ${size} bytes, more than ${maxBytes}`;
        throw new TaskFailure('BundleInvalid', facts);
      }
      return await this.on(() => handle.readFile());
    } finally {
      await this.closeFile(handle);
    }
  }

  /** No error when there is none. */
  async removeFile(name: string): Promise<void> {
    await this.#use(name, (path) => fs.rm(path, { force: true }));
  }

  async removeEmptyDirectory(name: string): Promise<void> {
    await this.#use(name, (path) => fs.rmdir(path));
  }

  /** @throws ENOTEMPTY or EEXIST when `to` exists and holds something */
  async rename(from: string, to: string): Promise<void> {
    const target = this.#pathOf(to);
    await this.#use(from, (path) => fs.rename(path, target));
  }

  /** Makes the names in this directory durable; fsync(2), unless nothing here has to be. */
  async sync(): Promise<void> {
    if (this.#lease.durable) {
      await this.#lease.use(() => this.#handle.sync());
    }
  }

  /** Bytes that an unprivileged writer may still write here; statfs(2). */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await this.#use(undefined, (path) => fs.statfs(path));
    return bavail * bsize;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#lease.close(this.#handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #use<T>(name: string | undefined, call: (path: string) => Promise<T>): Promise<T> {
    return await this.#lease.use(() => call(this.#pathOf(name)));
  }

  #pathOf(name: string | undefined): string {
    if (this.#closed) {
      throw new Error(`${this.label} is closed`);
    }
    const self = `/proc/self/fd/${this.#handle.fd}`;
    if (name === undefined) {
      return self;
    }
    assertComponent(name);
    return `${self}/${name}`;
  }
}

/** @throws BundleInvalid for anything that is not one plain path component */
export function assertComponent(name: string): void {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw new TaskFailure('BundleInvalid', `${JSON.stringify(name)} is not a file name`);
  }
}
