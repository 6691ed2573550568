// Opening below the root of a tree with the engine's rights: what an application opened before it gave up its own.
import { OwnedFd } from '../../linux/descriptors.ts';
import { check } from '../../linux/error.ts';
import { type FileStat, O, openBelow, openPath, S, statFd } from '../../linux/file-facts.ts';

/** /dev/null, zero, full, random, urandom, kmsg: the same everywhere. */
const MEMORY_DEVICES_MAJOR = 1;
const HARMLESS_MINORS: ReadonlySet<number> = new Set([3, 5, 7, 8, 9, 11]);

export const isMemoryDevice = ({ mode, rdevMajor, rdevMinor }: FileStat): boolean =>
  (mode & S.IFMT) === S.IFCHR &&
  rdevMajor === MEMORY_DEVICES_MAJOR &&
  HARMLESS_MINORS.has(rdevMinor);

const OPENABLE: ReadonlySet<number> = new Set([S.IFREG, S.IFDIR, S.IFIFO]);

/**
 * Opens a path of the tree. It is resolved as a process of the tree would, so no link leads out; the object is looked at
 * before it is opened, because the name may have become a device that acts on being opened.
 *
 * @throws LinuxError; Error for an object of a kind that the application cannot have had open
 */
export function openFromOutside(root: OwnedFd, path: string, flags: number): number {
  const first = openBelow(root, path, flags & O.PATH ? flags : O.PATH);
  const handle = check(first, 'open', { object: path });
  if (flags & O.PATH) return handle;
  using found = new OwnedFd(handle);
  const stat = statFd(found.fd);
  if (!OPENABLE.has(stat.mode & S.IFMT) && !isMemoryDevice(stat)) {
    throw new Error(`${path} is not a file any more: put back what the saved program had open`);
  }
  return openPath(`/proc/self/fd/${found.fd}`, flags & ~O.NOFOLLOW);
}
