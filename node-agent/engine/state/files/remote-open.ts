// Opening by path inside a process that is being rebuilt: with its rights, in its mount namespace.
import { fchownSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import { encodeText } from '../../image/text.ts';
import { LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { readStatus } from '../../linux/procfs/status.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { Opened } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';

const AT_FDCWD = -100;
/** Place of the file-system ids in the lines `Uid:` and `Gid:` of /proc/PID/status. */
const FS_ID = 3;

/** Answers to a process that lost the rights it once opened the file with. */
const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);

export type UserIds = readonly [uid: number, gid: number];

/** A file to be opened by its path. */
export interface PathToOpen {
  readonly path: string;
  readonly flags: number;
}

/**
 * Queues open(2); once it has run, the engine takes the descriptor over and the process closes its own. What the process
 * may not open any more, since it became another user or lives in a pod without rights, `asEngine` opens.
 */
export function queueOpen(
  opening: FileOpening,
  builder: ProcessBuilder,
  { path, flags }: PathToOpen,
  asEngine: Opened,
): Opened {
  const bytes = Buffer.concat([encodeText(path), Buffer.alloc(1)]);
  builder.makeRoom(1, bytes.length + 16);
  const { batch } = builder;
  const result = batch.call(SYS.openat, AT_FDCWD, batch.bytes(bytes), flags | O.CLOEXEC, 0);
  return () => {
    if (!result.known) builder.flush();
    if (result.number < 0) {
      const facts = { pid: builder.saved.pid, object: path };
      const error = new LinuxError('open', -result.number, facts);
      if (DENIED.has(error.errno)) return asEngine();
      throw error;
    }
    const fd = opening.pull(builder, result.number);
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.close, result.number);
    return fd;
  };
}

/**
 * Pipes and sockets belong to whoever makes them, and /proc/self/fd/N of them can be opened by that user only: what the
 * engine makes is given to the user that the process has, or will have.
 */
export function giveTo([uid, gid]: UserIds, fd: number): void {
  if (uid !== 0 || gid !== 0) fchownSync(fd, uid, gid);
}

/** Only exec and credentials change them, and neither happens while files are opened. */
export function fileSystemIds({ birth, saved, process }: ProcessBuilder): UserIds {
  const creds = saved.core.threadCore?.creds;
  if (birth === 'standalone' && creds) return [creds.fsuid, creds.fsgid];
  const { uids, gids } = readStatus(process.pid);
  return [uids[FS_ID] ?? 0, gids[FS_ID] ?? 0];
}
