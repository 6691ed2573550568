// Opening by path inside a process that is being rebuilt: with its rights, in its mount namespace, all files in one go.
import { fchownSync } from 'node:fs';
import { SYS } from '../../arch/x86-64.ts';
import { LinuxError } from '../../linux/error.ts';
import { O } from '../../linux/file-facts.ts';
import { readStatus } from '../../linux/procfs/status.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import type { RemoteResult } from '../../tracee/remote-word.ts';
import { syscallName } from '../../tracee/syscall-name.ts';

const AT_FDCWD = -100;
const F_DUPFD = 0;
const F_DUPFD_CLOEXEC = 1030;
const SEEK_SET = 0;
/** Answers to a process that lost the rights it once opened the file with, or has no number left for the moment. */
const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EMFILE']);

/** What one file takes at most. */
const CALLS = 4;
const MAX_PATH_BYTES = 4096 + 16;
/** Place of the file-system ids in the lines `Uid:` and `Gid:` of /proc/PID/status. */
const FS_ID = 3;

export type UserIds = readonly [uid: number, gid: number];

/** A file to be opened by its path. */
export interface PathToOpen {
  readonly path: string;
  readonly flags: number;
  /** undefined: where open(2) leaves it */
  readonly position: bigint | undefined;
  /** lowest number at which the process is to have it in the end; undefined when it will not keep it */
  readonly wanted: number | undefined;
  readonly closeOnExec: boolean;
}

/** Which descriptors there are in the process before anything is opened. */
export interface Numbers {
  readonly taken: ReadonlySet<number>;
  /** that the application wants, ascending */
  readonly wanted: readonly number[];
  /** nobody wants this one or a higher one; undefined where the limit has no room for such */
  readonly above: number | undefined;
  /** an open descriptor that may stand at any number for the moment */
  readonly filler: number;
}

interface Waiting {
  readonly file: PathToOpen;
  /** the last one is its number; a failure of any of them is its failure */
  answers: readonly RemoteResult[];
}

/**
 * The files that one process opens. The kernel gives each the lowest free number, so in the right order most of them
 * stand where they are wanted at once.
 */
export class PathOpens {
  readonly #builder: ProcessBuilder;
  readonly #numbers: Numbers;
  readonly #taken: Set<number>;
  #waiting: Waiting[] = [];

  constructor(builder: ProcessBuilder, numbers: Numbers) {
    this.#builder = builder;
    this.#numbers = numbers;
    this.#taken = new Set(numbers.taken);
  }

  /**
   * @returns what opens everything that was added so far, and gives its number in the process; undefined when the process
   *   may not open it any more, since it became another user or lives in a pod without rights
   */
  add(file: PathToOpen): () => number | undefined {
    const waiting: Waiting = { file, answers: [] };
    this.#waiting.push(waiting);
    return () => {
      this.#run();
      return numberOf(waiting, this.#builder.saved.pid);
    };
  }

  #run(): void {
    if (this.#waiting.length > 0) {
      const fits = this.#waiting.filter(({ file }) => this.#isFree(file.wanted));
      const others = this.#waiting.filter(({ file }) => !this.#isFree(file.wanted));
      this.#waiting = [];
      fits.sort((a, b) => (a.file.wanted ?? 0) - (b.file.wanted ?? 0));
      this.#fillHoles(fits.map(({ file }) => file.wanted ?? 0));
      for (const waiting of fits) waiting.answers = this.#queue(waiting.file);
      for (const waiting of others)
        waiting.answers = this.#queue(waiting.file, this.#numbers.above);
    }
    this.#builder.flush();
  }

  #isFree(number: number | undefined): boolean {
    return number !== undefined && !this.#taken.has(number);
  }

  /** Numbers of what is not opened by path: something else stands there meanwhile, so that no file gets them. */
  #fillHoles(files: readonly number[]): void {
    for (const number of files) this.#taken.add(number);
    const last = files.at(-1) ?? 0;
    const { wanted, filler } = this.#numbers;
    const holes = wanted.filter((number) => number < last && !this.#taken.has(number));
    // Otherwise it is shorter to move the files.
    if (holes.length > files.length) return;
    for (const number of holes) {
      this.#taken.add(number);
      this.#builder.makeRoom(1, 0);
      this.#builder.batch.must(SYS.dup3, filler, number, O.CLOEXEC);
    }
  }

  /** @param above it is moved there, so that the low numbers stay free for those that want them */
  #queue({ path, flags, position, closeOnExec }: PathToOpen, above?: number): RemoteResult[] {
    this.#builder.makeRoom(CALLS, MAX_PATH_BYTES);
    const { batch } = this.#builder;
    const cloexec = closeOnExec ? O.CLOEXEC : 0;
    const opened = batch.call(SYS.openat, AT_FDCWD, batch.path(path), flags | cloexec, 0);
    const sought = position ? [batch.call(SYS.lseek, opened, position, SEEK_SET)] : [];
    if (above === undefined) return [opened, ...sought, opened];
    const how = closeOnExec ? F_DUPFD_CLOEXEC : F_DUPFD;
    const moved = batch.call(SYS.fcntl, opened, how, above);
    batch.call(SYS.close, opened);
    return [opened, ...sought, moved];
  }
}

function numberOf({ file, answers }: Waiting, pid: number): number | undefined {
  let number = -1;
  for (const answer of answers) {
    ({ number } = answer);
    if (number >= 0) continue;
    const error = new LinuxError(syscallName(answer.call), -number, { pid, object: file.path });
    if (DENIED.has(error.errno)) return undefined;
    throw error;
  }
  return number;
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
