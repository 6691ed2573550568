// File locks as fdinfo tells them: POSIX locks of a process, OFD and flock locks of an open file, leases.
import type { FileLockEntry } from '../../image/messages/files.ts';
import { LockKind } from '../../image/messages/enums.ts';
import { IMAGES } from '../../image/image-files.ts';
import { fdInfoValues } from './fdinfo.ts';
import type { FileDump } from './file-dump.ts';
import type { Holder, OpenFile, OpenFileFacts } from './open-file.ts';

/** F_RDLCK, F_WRLCK, F_UNLCK; leases that somebody waits for carry the bit besides what they become. */
export const LOCK_TYPE = { READ: 0, WRITE: 1, UNLCK: 2, BREAKING: 4 } as const;

const KINDS: ReadonlyMap<string, number> = new Map([
  ['POSIX', LockKind.POSIX],
  ['FLOCK', LockKind.FLOCK],
  ['OFDLCK', LockKind.OFD],
  ['LEASE', LockKind.LEASE],
]);

/** One lock of one descriptor. */
export interface LockFacts {
  readonly kind: number;
  readonly type: number;
  /** who took it, as the engine numbers processes; -1 for OFD locks, 0 for somebody out of sight */
  readonly pid: number;
  readonly start: bigint;
  /** 0 = to the end of the file */
  readonly length: bigint;
}

const LINE =
  /^\d+: (\w+)\s+(\w+)\s+(READ|WRITE|UNLCK)\s+(-?\d+) [0-9a-f]+:[0-9a-f]+:\d+ (\d+) (\d+|EOF)$/;

/** Reads the value of a line `lock:`; undefined for a lock that no program takes (delegations of a file server). */
export function parseLock(text: string): LockFacts | undefined {
  const match = LINE.exec(text);
  const kind = KINDS.get(match?.[1] ?? '');
  if (!match || kind === undefined) return undefined;
  const [, , state, type, pid, first, last] = match as unknown as string[];
  const start = BigInt(first as string);
  return {
    kind,
    type:
      LOCK_TYPE[type as 'READ' | 'WRITE' | 'UNLCK'] |
      (state === 'BREAKING' ? LOCK_TYPE.BREAKING : 0),
    pid: Number(pid),
    start,
    length: last === 'EOF' ? 0n : BigInt(last as string) - start + 1n,
  };
}

interface FoundLock extends LockFacts {
  readonly file: OpenFile;
  /** of a POSIX lock: through which descriptor its process has it */
  readonly holder: Holder;
}

/** The locks of one tree. */
export class LockCollection {
  readonly #found = new Map<string, FoundLock>();

  /** What the fdinfo of one descriptor tells; a lock shows at every descriptor of its open file. */
  add(file: OpenFile, holder: Holder, { info }: OpenFileFacts): void {
    for (const text of fdInfoValues(info, 'lock')) {
      const lock = parseLock(text);
      if (!lock) {
        file.refuse('FileLock', `its lock (${text}) is of a kind that cannot be taken again`);
        continue;
      }
      const owner = lock.kind === LockKind.POSIX ? holder.subject.process.pid : 0;
      const { kind, type, start, length } = lock;
      const key = [file.id, owner, kind, type, start, length].join(' ');
      if (!this.#found.has(key)) this.#found.set(key, { ...lock, file, holder });
    }
  }

  /** When every holder is known. */
  finish(dump: FileDump): void {
    const locks = [...this.#found.values()];
    if (dump.options.fileLocks === 'Refuse') {
      for (const file of new Set(locks.map((lock) => lock.file))) {
        file.refuse('FileLock', 'it is locked: allow file locks (--file-locks), or release it');
      }
      return;
    }
    const entries = locks.map(entryOf);
    dump.afterThaw((images) => images.write(IMAGES.filelocks, entries));
  }
}

function entryOf({ kind, type, pid, start, length, file, holder }: FoundLock): FileLockEntry {
  const taker = file.holders.find(({ subject }) => subject.process.pid === pid);
  const { subject, fd } = kind === LockKind.POSIX ? holder : (taker ?? holder);
  return { flag: kind, type, pid: subject.process.nsPid, fd, start, len: length };
}
