// What an overlay would show without its writable layer: the files of a container's image.
import { type BigIntStats, closeSync, constants, lstatSync, openSync } from 'node:fs';
import { errnoOf } from '../../task-failure.ts';
import { namesIn, withDirectory } from './collect.ts';
import { isOpaque, isWhiteout } from './overlay.ts';
import { inside, join, nameOf, parentOf, rawPath } from './raw-path.ts';

const { O_RDONLY, O_DIRECTORY } = constants;
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export interface LowerEntry {
  /** of the topmost layer that has it */
  readonly stat: BigIntStats;
  /** descriptors of the layers that it comes from, topmost first; one for anything but a directory */
  readonly layers: readonly number[];
}

export class LowerView implements Disposable {
  readonly #fds: readonly number[];

  /** @param paths of the layers, topmost first */
  constructor(paths: readonly string[]) {
    this.#fds = paths.map((path) => openSync(path, O_RDONLY | O_DIRECTORY));
  }

  /** @param path relative, not the root; a link in the way leads nowhere */
  find(path: string): LowerEntry | undefined {
    let layers = this.#fds;
    let found: LowerEntry | undefined;
    let prefix = '';
    for (const name of path.split('/')) {
      if (found && !found.stat.isDirectory()) return undefined;
      prefix = join(prefix, name);
      found = lookUp(prefix, layers);
      if (!found) return undefined;
      layers = found.layers;
    }
    return found;
  }

  /** Names in a directory. */
  names(path: string, { layers }: LowerEntry): string[] {
    const seen = new Set<string>();
    const shown: string[] = [];
    for (const layer of layers) {
      withDirectory(layer, path, (fd) => {
        for (const name of namesIn(fd).filter((candidate) => !seen.has(candidate))) {
          seen.add(name);
          const file = inside(fd, name);
          if (!isWhiteout(file, lstatSync(rawPath(file), { bigint: true }))) shown.push(name);
        }
      });
    }
    return shown.sort();
  }

  [Symbol.dispose](): void {
    this.#fds.forEach((fd) => closeSync(fd));
  }
}

function lookUp(path: string, layers: readonly number[]): LowerEntry | undefined {
  const having: number[] = [];
  let top: BigIntStats | undefined;
  for (const layer of layers) {
    const seen = lookAt(layer, path);
    if (seen === 'absent') continue;
    if (seen === 'deleted' || (top && !seen.stat.isDirectory())) break;
    top ??= seen.stat;
    having.push(layer);
    if (!seen.stat.isDirectory() || seen.opaque) break;
  }
  return top && { stat: top, layers: having };
}

type Seen = 'absent' | 'deleted' | { readonly stat: BigIntStats; readonly opaque: boolean };

function lookAt(layer: number, path: string): Seen {
  let seen: Seen = 'absent';
  try {
    withDirectory(layer, parentOf(path), (fd) => {
      const file = inside(fd, nameOf(path));
      const stat = lstatSync(rawPath(file), { bigint: true });
      seen = isWhiteout(file, stat)
        ? 'deleted'
        : { stat, opaque: stat.isDirectory() && isOpaque(file) };
    });
  } catch (error) {
    if (!ABSENT.has(errnoOf(error) ?? '')) throw error;
  }
  return seen;
}
