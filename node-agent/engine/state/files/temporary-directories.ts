// Directories that are gone but have to be there for a moment, so that something can stand in them.
import { mkdirSync, openSync, rmdirSync } from 'node:fs';
import { encodeText } from '../../image/text.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { O, openBelow } from '../../linux/file-facts.ts';

const MAX_DEPTH = 64;

/** `/proc/self/fd/N/name`: not to be led astray by a rename or link above it. */
export const pathIn = (directory: OwnedFd, base: string | Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from(`/proc/self/fd/${directory.fd}/`),
    typeof base === 'string' ? encodeText(base) : base,
  ]);

/** Directory and last component of an absolute path. */
export function splitPath(path: string): { readonly directory: string; readonly base: string } {
  const slash = path.lastIndexOf('/');
  return { directory: path.slice(0, slash) || '/', base: path.slice(slash + 1) };
}

export class TemporaryDirectories {
  readonly #root: OwnedFd;
  readonly #open: OwnedFd[] = [];
  readonly #made: Buffer[] = [];

  constructor(root: OwnedFd) {
    this.#root = root;
  }

  /** Opens a directory; what is missing of its path is made. It stays this object's. */
  open(path: string, depth = 0): OwnedFd {
    const fd = openBelow(this.#root, path, O.PATH | O.DIRECTORY);
    if (fd >= 0) return this.#keep(fd);
    const error = new LinuxError('open', -fd, { object: path });
    if (error.errno !== 'ENOENT' || depth > MAX_DEPTH) throw error;
    const { directory, base } = splitPath(path);
    const at = pathIn(this.open(directory, depth + 1), base);
    mkdirSync(at, 0o755);
    this.#made.push(at);
    return this.#keep(openSync(at, O.PATH | O.DIRECTORY | O.NOFOLLOW));
  }

  #keep(fd: number): OwnedFd {
    const owned = new OwnedFd(fd);
    this.#open.push(owned);
    return owned;
  }

  /** Removes what was made; it must be empty by now. */
  [Symbol.dispose](): void {
    for (const at of this.#made.splice(0).reverse()) rmdirSync(at);
    for (const directory of this.#open.splice(0)) directory[Symbol.dispose]();
  }
}
