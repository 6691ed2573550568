// An images directory, opened once: files are reached through its descriptor, so that a rename or a mount cannot move it.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  type PathLike,
  readlinkSync,
} from 'node:fs';
import { ImageError } from './image-error.ts';

/** Which directories the link of an incremental chain may lead to. */
export type ParentScope =
  /** one beside this directory: bundles on volumes that others can write must not reach other files of the node */
  | 'sibling'
  /** any, as CRIU does */
  | 'anywhere';

/** An open directory of images; dispose of it when done. */
export class ImagesDirectory {
  readonly path: string;
  readonly fd: number;

  /** @throws the error of open(2) */
  constructor(path: PathLike, extraFlags = 0) {
    this.path = String(path);
    this.fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | extraFlags);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }

  /** Path of a file in the directory, as this process sees it. */
  pathOf(file: string): string {
    return `/proc/self/fd/${this.fd}/${file}`;
  }

  /**
   * Opens a regular file. Bundles lie on volumes that others can write, so links are not followed (they lead out of the
   * bundle) and O_NONBLOCK keeps a FIFO from holding up the engine.
   *
   * @throws ImageError for anything but a regular file
   */
  open(file: string, flags: number, mode = 0o600): { readonly fd: number; readonly bytes: number } {
    if (file.includes('/') || file === '' || file.startsWith('.')) {
      throw new ImageError({ file, reason: 'is not the plain name of an image' });
    }
    const fd = this.#openPlain(file, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
    const stat = fstatSync(fd);
    if (stat.isFile()) return { fd, bytes: stat.size };
    closeSync(fd);
    throw new ImageError({ file, reason: 'is not a regular file' });
  }

  /**
   * The directory that the link named `link` leads to, or that has this name: what was copied before the freeze of a dump lies
   * within its own directory. Undefined without one.
   *
   * @throws ImageError outside of the scope
   */
  follow(link: string, scope: ParentScope): ImagesDirectory | undefined {
    const found = this.#look(link);
    if (found === undefined) return undefined;
    if (found === 'folder') return new ImagesDirectory(this.pathOf(link), constants.O_NOFOLLOW);
    if (scope === 'anywhere') return new ImagesDirectory(this.pathOf(link));
    const { target } = found;
    if (!/^\.\.\/[^/]+\/?$/.test(target) || /^\.\.\/\.\.?\/?$/.test(target)) {
      throw new ImageError({ file: link, reason: `leads to ${target}, which is not beside it` });
    }
    return new ImagesDirectory(this.pathOf(target.replace(/\/$/, '')), constants.O_NOFOLLOW);
  }

  #look(link: string): 'folder' | { readonly target: string } | undefined {
    const path = this.pathOf(link);
    try {
      const stat = lstatSync(path);
      if (stat.isDirectory()) return 'folder';
      if (stat.isSymbolicLink()) return { target: readlinkSync(path) };
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
    throw new ImageError({ file: link, reason: 'is neither a link nor a directory' });
  }

  #openPlain(file: string, flags: number, mode: number): number {
    try {
      return openSync(this.pathOf(file), flags, mode);
    } catch (error) {
      const code = ['ELOOP', 'ENXIO', 'EISDIR'].find((name) => hasCode(error, name));
      if (code) throw new ImageError({ file, reason: 'is not a regular file' }, { cause: error });
      throw error;
    }
  }
}

/** Whether an error of node:fs has this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
