// What a watch of inotify(7) or fanotify(7) looks at: fdinfo tells an inode, the images need a path or an open file.
import type { FhEntry } from '../../image/messages/events.ts';
import { OwnedFd } from '../../linux/descriptors.ts';
import { O, openBelow, readLink, statFd } from '../../linux/file-facts.ts';
import { type Mount, readMounts } from '../../linux/procfs/mountinfo.ts';
import { type FileHandle, openByHandle } from '../../linux/watches.ts';
import type { FileDump } from './file-dump.ts';
import { findInode } from './inode-search.ts';
import type { OpenFile } from './open-file.ts';

const HANDLE_WORDS = 16;

/** An inode as a line of fdinfo tells it. */
export interface InodeMark {
  readonly ino: bigint;
  readonly dev: number;
  readonly handle: FileHandle;
}

/** Where it is to be found again. */
export type WatchedInode = { readonly path: string } | { readonly fileId: number };

/**
 * Looks for a watched inode: by its handle, among the open files of the tree, else among the names near what it uses.
 *
 * @returns undefined when no name and no open file of the tree leads to it
 */
export function findWatched(
  watcher: OpenFile,
  mark: InodeMark,
  dump: FileDump,
): WatchedInode | undefined {
  const path = pathByHandle(watcher, mark, dump);
  if (path !== undefined) return { path };
  const open = dump.filesOfInode(mark.ino).find(({ stat }) => stat.dev === mark.dev);
  if (open) return { fileId: open.id };
  const found = findInode(watcher, mark, dump);
  return found === undefined ? undefined : { path: found };
}

function pathByHandle(watcher: OpenFile, mark: InodeMark, dump: FileDump): string | undefined {
  const { pid } = watcher.subject.process;
  const root = dump.registry.roots.of(pid);
  const mounts = dump.once(`mounts of ${readLink(`/proc/${pid}/ns/mnt`)}`, () => readMounts(pid));
  for (const mount of mounts.filter(({ dev }) => dev === mark.dev)) {
    const found = openThrough(root, mount, mark);
    if (!found) continue;
    using inode = found;
    const link = readLink(`/proc/self/fd/${inode.fd}`);
    const location = dump.registry.roots.locate(pid, link, statFd(inode.fd));
    if (location.state === 'present') return location.name;
  }
  return undefined;
}

function openThrough(
  root: OwnedFd,
  { point }: Mount,
  { dev, handle }: InodeMark,
): OwnedFd | undefined {
  const anchor = openBelow(root, point, O.RDONLY | O.NONBLOCK | O.NOCTTY);
  if (anchor < 0) return undefined;
  using mount = new OwnedFd(anchor);
  // Something else may be mounted over it.
  if (statFd(mount.fd).dev !== dev) return undefined;
  const inode = openByHandle(mount.fd, handle);
  return inode < 0 ? undefined : new OwnedFd(inode);
}

/** The handle as CRIU's images have it. */
export function handleEntry({ handle }: InodeMark, watched: WatchedInode): FhEntry {
  const words = Buffer.alloc(HANDLE_WORDS * 8);
  words.set(handle.bytes);
  return {
    bytes: handle.bytes.length,
    type: handle.type,
    handle: Array.from({ length: HANDLE_WORDS }, (_, i) => words.readBigUInt64LE(i * 8)),
    ...('path' in watched && { path: watched.path }),
  };
}

/** `fhandle-bytes:8 fhandle-type:1 f_handle:7e9e...`, all hexadecimal, and the inode before it. */
const MARK =
  /\bino:([0-9a-f]+) sdev:([0-9a-f]+) .*\bfhandle-bytes:([0-9a-f]+) fhandle-type:([0-9a-f]+) f_handle:([0-9a-f]*)/;

/** Reads the inode of a line; without a handle where the file system has none. */
export function parseInodeMark(text: string): InodeMark | undefined {
  const plain = /\bino:([0-9a-f]+) sdev:([0-9a-f]+)/.exec(text);
  if (!plain) return undefined;
  const match = MARK.exec(text);
  const handle = {
    type: Number.parseInt(match?.[4] ?? '0', 16),
    bytes: Buffer.from(match?.[5] ?? '', 'hex'),
  };
  return { ino: BigInt(`0x${plain[1]}`), dev: Number.parseInt(plain[2] as string, 16), handle };
}
