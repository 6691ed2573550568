// What kind of object a descriptor leads to, and which saved files it can take the place of.
import type { FileEntry } from '../../image/messages/files.ts';
import { fcntl, FCNTL } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { O, S, statFd } from '../../linux/file-facts.ts';
import { AF, intOption, LEVEL, SO } from '../../linux/sockets.ts';
import { isTerminal } from '../../linux/terminals.ts';
import type { SavedFiles } from './saved-files.ts';

type Kind = 'a file' | 'a directory' | 'a device' | 'a terminal' | 'a pipe' | 'a socket' | 'other';

export interface DescriptorFacts {
  readonly kind: Kind;
  /** open flags */
  readonly flags: number;
  /** of a unix socket: SOCK_* */
  readonly unixType: number | undefined;
}

/** Undefined where no such descriptor is open. */
export function lookAt(fd: number): DescriptorFacts | undefined {
  try {
    const flags = fcntl(fd, FCNTL.F_GETFL);
    const kind = kindOf(fd, flags);
    return { kind, flags, unixType: kind === 'a socket' ? unixTypeOf(fd) : undefined };
  } catch (error) {
    if (error instanceof LinuxError && error.errno === 'EBADF') return undefined;
    throw error;
  }
}

function kindOf(fd: number, flags: number): Kind {
  switch (statFd(fd).mode & S.IFMT) {
    case S.IFREG:
      return 'a file';
    case S.IFDIR:
      return 'a directory';
    case S.IFBLK:
      return 'a device';
    case S.IFCHR:
      return !(flags & O.PATH) && isTerminal(fd) ? 'a terminal' : 'a device';
    case S.IFIFO:
      return 'a pipe';
    case S.IFSOCK:
      return 'a socket';
    default:
      return 'other';
  }
}

const unixTypeOf = (fd: number): number | undefined =>
  intOption(fd, LEVEL.SOCKET, SO.DOMAIN) === AF.UNIX
    ? intOption(fd, LEVEL.SOCKET, SO.TYPE)
    : undefined;

/** A stream of bytes can be any of these, as with the redirections of a shell. */
const STREAMS: ReadonlySet<Kind> = new Set(['a file', 'a device', 'a terminal', 'a pipe']);

/** @returns what is wanted instead; undefined when it fits */
export function canBe(
  entry: FileEntry,
  { kind, unixType }: DescriptorFacts,
  saved: SavedFiles,
): string | undefined {
  const { usk, tty, memfd } = entry;
  if (usk) return unixType === usk.type ? undefined : 'a unix socket of the same type';
  if (tty) return kind === 'a terminal' ? undefined : 'a terminal';
  if (memfd) return kind === 'a file' ? undefined : 'a file';
  const reg = saved.pathOf(entry);
  if (reg && isDirectory(reg)) return kind === 'a directory' ? undefined : 'a directory';
  return STREAMS.has(kind) ? undefined : 'a pipe, a file, a device or a terminal';
}

const isDirectory = ({ mode = 0, flags }: { mode?: number; flags: number }): boolean =>
  (mode & S.IFMT) === S.IFDIR || (mode === 0 && (flags & O.DIRECTORY) !== 0);
