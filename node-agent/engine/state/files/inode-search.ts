// Looking for the name of an inode that no handle opens (overlayfs, the root of every container): first where the tree
// has files anyway, then from the top down, within a limit.
import { readdirSync } from 'node:fs';
import { decodeText } from '../../image/text.ts';
import { closeFd, type OwnedFd } from '../../linux/descriptors.ts';
import { O, openBelow, readLink, S, statFd } from '../../linux/file-facts.ts';
import type { FileDump } from './file-dump.ts';
import type { OpenFile } from './open-file.ts';

/** The application stands still meanwhile: some 50 ms at most. */
const MAX_ENTRIES = 20_000;

/** Path of an inode as the watcher's mount namespace knows it. */
export function findInode(
  watcher: OpenFile,
  wanted: { readonly ino: bigint; readonly dev: number },
  dump: FileDump,
): string | undefined {
  const { pid } = watcher.subject.process;
  const search = new Search(dump.registry.roots.of(pid), wanted);
  const directories = [
    ...dump.subjects.map(({ process }) => readLink(`/proc/${process.pid}/cwd`)),
    ...['/etc', '/tmp', '/run', '/var/log', '/'],
  ];
  return search.among(directories);
}

class Search {
  readonly #root: OwnedFd;
  readonly #wanted: { readonly ino: bigint; readonly dev: number };
  readonly #seen = new Set<string>();
  #left = MAX_ENTRIES;

  constructor(root: OwnedFd, wanted: { readonly ino: bigint; readonly dev: number }) {
    this.#root = root;
    this.#wanted = wanted;
  }

  /** Breadth first, so that what lies near is found soon. */
  among(starts: readonly string[]): string | undefined {
    const queue = [...starts];
    for (let path = queue.shift(); path !== undefined && this.#left > 0; path = queue.shift()) {
      if (this.#seen.has(path)) continue;
      this.#seen.add(path);
      const found = this.#visit(path, queue);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #visit(path: string, queue: string[]): string | undefined {
    const fd = openBelow(this.#root, path, O.PATH | O.NOFOLLOW);
    if (fd < 0) return undefined;
    this.#left -= 1;
    try {
      const stat = statFd(fd);
      if (stat.ino === this.#wanted.ino && stat.dev === this.#wanted.dev) return path;
      if ((stat.mode & S.IFMT) !== S.IFDIR || path === '/proc' || path === '/sys') return undefined;
      const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
      for (const name of names) queue.push(`${path === '/' ? '' : path}/${decodeText(name)}`);
      return undefined;
    } finally {
      closeFd(fd);
    }
  }
}
