// The files that unix sockets are bound to, reached below the root of the restored tree.
import { chmodSync, chownSync, renameSync, unlinkSync } from 'node:fs';
import type { FilePermsEntry } from '../../image/messages/sockets.ts';
import { encodeText } from '../../image/text.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { O, openBelow, S, statBelow } from '../../linux/file-facts.ts';
import { pathIn, splitPath, TemporaryDirectories } from './temporary-directories.ts';

/** Makes room for the names of sockets, and takes back names that were gone already. */
export class SocketFiles {
  readonly #root: OwnedFd;
  readonly #directories: TemporaryDirectories;
  /** what stands at a path that a socket only needs for the moment */
  readonly #aside = new Map<string, Buffer>();
  /** names that only stand until everybody has connected */
  readonly #lost = new Set<string>();

  constructor(root: OwnedFd) {
    this.#root = root;
    this.#directories = new TemporaryDirectories(root);
  }

  /** Removes the socket that an earlier life left at its own path; anything else there is left alone. */
  removeStale(path: string): void {
    const found = statBelow(this.#root, path);
    if (!found || (found.mode & S.IFMT) !== S.IFSOCK) return;
    unlinkSync(this.#at(path));
  }

  /** Makes a path free for a name that is gone again after {@link forget}: whatever stands there is moved aside. */
  borrow(path: string): void {
    const { directory, base } = splitPath(path);
    const parent = this.#directories.open(directory);
    if (this.#lost.has(path)) this.removeStale(path);
    else if (statBelow(this.#root, path)) {
      const other = Buffer.concat([encodeText(base), Buffer.from('.diapause-aside')]);
      renameSync(pathIn(parent, base), pathIn(parent, other));
      this.#aside.set(path, other);
    }
    this.#lost.add(path);
  }

  /** Removes the borrowed names, and puts back what stood there. */
  forget(): void {
    for (const path of this.#lost) {
      this.removeStale(path);
      const aside = this.#aside.get(path);
      if (!aside) continue;
      const { directory, base } = splitPath(path);
      const parent = this.#directories.open(directory);
      renameSync(pathIn(parent, aside), pathIn(parent, base));
    }
    this.#lost.clear();
    this.#aside.clear();
    this.#directories[Symbol.dispose]();
  }

  setPermissions(path: string, { uid, gid, mode }: FilePermsEntry): void {
    const fd = check(openBelow(this.#root, path, O.PATH | O.NOFOLLOW), 'open', { object: path });
    using file = new OwnedFd(fd);
    const link = `/proc/self/fd/${file.fd}`;
    chownSync(link, uid, gid);
    chmodSync(link, mode & 0o7777);
  }

  #at(path: string): Buffer {
    const { directory, base } = splitPath(path);
    return pathIn(this.#directories.open(directory), base);
  }
}
