// Changing names of a root file system that programs, mounts and links may be in the way of.
import * as fs from 'node:fs';
import { listXattrs, O_PATH, openConfined, removeXattr, setXattr } from './native.ts';
import { isPortableXattr } from './overlay.ts';
import { fromUtf8, inside, rawPath } from './raw-path.ts';
import type { TarEntry } from './tar-entry.ts';

const { O_NOFOLLOW, O_DIRECTORY } = fs.constants;

/** What an entry of an archive and a file of an image have in common. */
export type Attributes = Pick<TarEntry, 'type' | 'uid' | 'gid' | 'mode' | 'xattrs'>;

/** Names that are hidden by a mount of the pod, or lead to one. */
export class MountGuard {
  readonly #points: readonly string[];

  /** @param points absolute, UTF-8 */
  constructor(points: readonly string[]) {
    this.#points = points.map((path) => fromUtf8(path.replace(/^\/+/, '')));
  }

  /** Is it a mount point of the pod, or below one? Then it is hidden and none of ours. */
  isMounted(path: string): boolean {
    return this.#points.some((point) => path === point || path.startsWith(`${point}/`));
  }

  carriesMount(path: string): boolean {
    return this.#points.some((point) => point.startsWith(`${path}/`));
  }
}

/** Owner first: changing it clears set-id bits and capabilities. */
export function setAttributes(entry: Attributes, target: string): void {
  fs.lchownSync(rawPath(target), entry.uid, entry.gid);
  for (const name of listXattrs(target).filter(isPortableXattr)) {
    if (!entry.xattrs.has(name)) {
      removeXattr(target, name);
    }
  }
  for (const [name, value] of entry.xattrs) {
    if (isPortableXattr(name)) {
      setXattr(target, name, value);
    }
  }
  if (entry.type !== 'symlink') {
    setMode(target, entry.mode);
  }
}

/** chmod(2) follows links and fchmodat2(2) is too new: by a handle that is proven to be no link. */
function setMode(target: string, mode: number): void {
  const fd = fs.openSync(rawPath(target), O_PATH | O_NOFOLLOW);
  try {
    if (!fs.fstatSync(fd).isSymbolicLink()) {
      fs.chmodSync(`/proc/self/fd/${fd}`, mode);
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** Everything inside a directory, but not that itself. */
export function removeContent(directoryFd: number): void {
  for (const name of fs.readdirSync(`/proc/self/fd/${directoryFd}`, { encoding: 'latin1' })) {
    removeTree(directoryFd, name);
  }
}

/** Removes a name and all below it; links themselves, never what they point to. Nothing there is fine. */
export function removeTree(parentFd: number, name: string): void {
  const target = rawPath(inside(parentFd, name));
  const stat = fs.lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined) {
    return;
  }
  if (!stat.isDirectory()) {
    fs.unlinkSync(target);
    return;
  }
  const fd = openConfined(parentFd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const child of fs.readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
      removeTree(fd, child);
    }
  } finally {
    fs.closeSync(fd);
  }
  fs.rmdirSync(target);
}
