// Where an open file stands in the tree of names: at its path, nowhere any more, or only where nobody says.
import { readdirSync } from 'node:fs';
import { closeFd, OwnedFd } from '../../linux/descriptors.ts';
import {
  type FileStat,
  O,
  openBelow,
  openPath,
  readLink,
  statBelow,
} from '../../linux/file-facts.ts';
import { decodeText } from '../../image/text.ts';

export interface Location {
  /** absolute, as the mount namespace of the process knows it */
  readonly name: string;
  readonly state: /** the name leads to this very file */
    | 'present'
    /** no name leads to it */
    | 'unlinked'
    /** this name is gone, another one that we do not know lives */
    | 'other-name'
    /** the name leads elsewhere though it was never removed: something is mounted over it */
    | 'hidden';
}

/** What d_path of the kernel appends to the name of an unlinked file; a file may also truly be called so. */
const DELETED = ' (deleted)';

/** What shm_open(3) and sem_open(3) make. */
export function isSharedMemoryFile(path: string): boolean {
  return /^\/dev\/shm\/[^/]+$/.test(path);
}

/** Directories with more names are not searched. */
const MAX_NAMES = 4096;

/** Decides from the link's text, the file's facts and what the name leads to now. */
export function locate(
  link: string,
  stat: FileStat,
  lookUp: (path: string) => FileStat | undefined,
): Location {
  const leadsHere = (path: string): boolean => {
    const found = lookUp(path);
    return found !== undefined && found.dev === stat.dev && found.ino === stat.ino;
  };
  if (leadsHere(link)) return { name: link, state: 'present' };
  if (!link.endsWith(DELETED)) return { name: link, state: 'hidden' };
  const name = link.slice(0, -DELETED.length);
  if (leadsHere(name)) return { name, state: 'present' };
  return { name, state: stat.links === 0 ? 'unlinked' : 'other-name' };
}

/**
 * The roots of mount namespaces, to look names up in: /proc/PID/fd shows names relative to the namespace's root where
 * the namespace is foreign, and to the engine's root where it is the engine's own.
 */
export class NamespaceRoots {
  readonly #own = readLink('/proc/self/ns/mnt');
  readonly #roots = new Map<string, OwnedFd>();

  /** Does the process live in the engine's own mount namespace? */
  isOwn(pid: number): boolean {
    return readLink(`/proc/${pid}/ns/mnt`) === this.#own;
  }

  of(pid: number): OwnedFd {
    const namespace = readLink(`/proc/${pid}/ns/mnt`);
    let root = this.#roots.get(namespace);
    if (!root) {
      const path = namespace === this.#own ? '/' : `/proc/${pid}/root`;
      root = new OwnedFd(openPath(path, O.PATH | O.DIRECTORY));
      this.#roots.set(namespace, root);
    }
    return root;
  }

  locate(pid: number, link: string, stat: FileStat): Location {
    const root = this.of(pid);
    const location = locate(link, stat, (path) => statBelow(root, path));
    if (location.state !== 'other-name') return location;
    const name = findNeighbour(root, location.name, stat);
    return name === undefined ? location : { name, state: 'present' };
  }

  [Symbol.dispose](): void {
    for (const root of this.#roots.values()) root[Symbol.dispose]();
    this.#roots.clear();
  }
}

/**
 * Another name of the same file in the same directory: `link("x.tmp", "x"); unlink("x.tmp")` is how files are put into
 * place without overwriting.
 */
function findNeighbour(root: OwnedFd, path: string, stat: FileStat): string | undefined {
  const directory = path.slice(0, path.lastIndexOf('/')) || '/';
  const fd = openBelow(root, directory, O.RDONLY | O.DIRECTORY);
  if (fd < 0) return undefined;
  try {
    const names = readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
    return names
      .slice(0, MAX_NAMES)
      .map((name) => `${directory === '/' ? '' : directory}/${decodeText(name)}`)
      .find((candidate) => {
        const found = statBelow(root, candidate);
        return found?.dev === stat.dev && found.ino === stat.ino;
      });
  } finally {
    closeFd(fd);
  }
}
