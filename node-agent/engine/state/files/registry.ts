// Every open file and path of one saved tree: who has which id, and the messages of files.img.
import { type Finding, refusal } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import { FdType } from '../../image/messages/enums.ts';
import type { FownEntry } from '../../image/messages/file-owner.ts';
import type { FileEntry, RegFileEntry } from '../../image/messages/files.ts';
import type { ImageWriter } from '../../image/writer.ts';
import { type FileStat, O, readLink, S, statPath } from '../../linux/file-facts.ts';
import { SharedMemoryDump } from '../../memory/shared-memory.ts';
import type { TracedProcess } from '../../tracee/traced-process.ts';
import { endedProcessOf } from './ended-process.ts';
import { Externals } from './external.ts';
import type { FileOptions } from './file-dump.ts';
import { type GhostRefusal, GhostStore } from './ghost.ts';
import { isSharedMemoryFile, type Location, NamespaceRoots } from './location.ts';
import { NO_OWNER } from './owner.ts';

/** What is known of a file that has, or had, a path. */
export interface PathFacts {
  /** pid of a process in whose mount namespace the path stands */
  readonly pid: number;
  /** opens the file whatever its path */
  readonly magicLink: string;
  readonly link: string;
  readonly stat: FileStat;
  /** of an open file: the mount it was opened on */
  readonly mountId?: number;
  /** open flags without O_CLOEXEC */
  readonly flags: number;
  readonly pos: bigint;
  readonly owner: FownEntry;
  /** text of the symbolic link that is open (O_PATH) */
  readTarget(): string;
  refuse(code: string, advice: string): undefined;
}

export class FileRegistry {
  readonly options: FileOptions;
  readonly externals: Externals;
  readonly roots = new NamespaceRoots();
  readonly sharedMemory = new SharedMemoryDump(this);
  readonly #ghosts: GhostStore;
  readonly #entries = new Map<number, FileEntry>();
  readonly #paths = new Map<string, number>();
  readonly #foreseen = new Map<string, Location>();
  readonly #promises = new Map<string, { readonly id: number; readonly broken: () => void }>();
  readonly #kept = new Map<string, number>();
  #lastId = 0;

  constructor(options: FileOptions) {
    this.options = options;
    this.externals = new Externals(options.external);
    this.#ghosts = new GhostStore(options.maxGhostBytes);
  }

  [Symbol.dispose](): void {
    this.roots[Symbol.dispose]();
    this.#ghosts[Symbol.dispose]();
  }

  /**
   * A new file id.
   *
   * @param link text of a descriptor's link: what was promised for it
   */
  allocate(link?: string): number {
    const promised = link === undefined ? undefined : this.#promises.get(link);
    if (promised !== undefined && link !== undefined) {
      this.#promises.delete(link);
      return promised.id;
    }
    this.#lastId += 1;
    return this.#lastId;
  }

  /**
   * Id of a file that a process has mapped and that has no path: some descriptor of the tree must lead to it.
   *
   * @param broken called when there turns out to be none
   */
  promise(link: string, broken: () => void): number {
    const known = this.#kept.get(link);
    if (known !== undefined) return known;
    const id = this.allocate();
    this.#kept.set(link, id);
    this.#promises.set(link, { id, broken });
    return id;
  }

  /** All descriptors are known. */
  breakPromises(): void {
    for (const { broken } of this.#promises.values()) broken();
    this.#promises.clear();
  }

  /**
   * Puts a message into files.img, in place of an earlier one of the same id. What was put meanwhile comes before it:
   * CRIU looks for the peer of a unix socket among the messages that it has read.
   */
  put(entry: FileEntry): void {
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
  }

  entry(id: number): FileEntry | undefined {
    return this.#entries.get(id);
  }

  /**
   * Looks while the application runs whether a file is to be found by its name. In the freeze the answer is taken if link,
   * device and inode are still the same: then only a mount in that very moment could have made another of it.
   *
   * @param magicLink any link below /proc/PID that may be gone again
   */
  foresee(pid: number, magicLink: string): void {
    try {
      const link = readLink(magicLink);
      if (!link.startsWith('/')) return;
      const stat = statPath(magicLink);
      const location = this.roots.locate(pid, link, stat);
      if (location.state === 'present') this.#foreseen.set(placeKey(pid, link, stat), location);
    } catch {
      // Closed or unmapped meanwhile; what takes its place is looked at in the freeze.
    }
  }

  /**
   * File id of what a process has by path: executable, working directory, root, mapped file.
   *
   * @param magicLink `/proc/PID/exe`, `/proc/PID/cwd`, `/proc/PID/map_files/A-B`: any link that leads to the file itself
   * @param openFlags how it is to be opened again
   * @returns the same id for the same file and flags; of a refused one an id without a message
   */
  pathFile(
    process: TracedProcess,
    magicLink: string,
    openFlags: number,
    report: (finding: Finding) => void,
  ): number {
    const link = readLink(magicLink);
    const stat = statPath(magicLink);
    const key = `${stat.dev}:${stat.ino}:${openFlags}:${link}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const id = this.allocate();
    this.#paths.set(key, id);
    const entry = this.describePath(id, {
      pid: process.pid,
      magicLink,
      link,
      stat,
      flags: openFlags & ~O.CLOEXEC,
      pos: 0n,
      owner: NO_OWNER,
      readTarget: () => readLink(magicLink),
      refuse: (code, advice) => {
        report(refusal(code, process.nsPid, `${magicLink} -> ${link}`, advice));
      },
    });
    if (entry) this.put(entry);
    return id;
  }

  /** Message of a file that is opened by path; undefined after a refusal. Content of unlinked files is copied. */
  describePath(id: number, facts: PathFacts): FileEntry | undefined {
    const { pid, link, stat } = facts;
    const external = this.externals.file(facts);
    if (external !== undefined) return externalEntry(id, external, facts);
    const ended = endedProcessOf(link, facts.magicLink);
    if (ended !== undefined) {
      this.#ghosts.noteEnded(id, ended);
      const name = link.replace(/ \(deleted\)$/, '');
      return { type: FdType.REG, id, reg: regEntry(id, { name, state: 'unlinked' }, facts) };
    }
    const location =
      this.#foreseen.get(placeKey(pid, link, stat)) ?? this.roots.locate(pid, link, stat);
    const goesWithPod = location.state === 'present' && this.#goesWithPod(location.name, facts);
    if (location.state === 'unlinked' || goesWithPod) {
      const refused = this.#keepGhost(id, facts, goesWithPod);
      if (refused) return facts.refuse(refused.code, refused.advice);
    } else if (location.state !== 'present') {
      const { code, advice } = UNREACHABLE[location.state];
      return facts.refuse(code, advice);
    }
    return { type: FdType.REG, id, reg: regEntry(id, location, facts) };
  }

  /** Other pods have a /dev/shm of their own, and nobody but the pod's processes writes what is in it. */
  #goesWithPod(name: string, { pid, stat }: PathFacts): boolean {
    const isRegular = (stat.mode & S.IFMT) === S.IFREG;
    return isRegular && isSharedMemoryFile(name) && !this.roots.isOwn(pid);
  }

  #keepGhost(id: number, facts: PathFacts, keepsName: boolean) {
    if (facts.link.startsWith('/memfd:')) {
      return { code: 'MemfdPath', advice: 'run the program from a file that has a name' };
    }
    return this.#ghosts.keep(id, facts, keepsName);
  }

  /** Copies the content of unlinked files; in the freeze. */
  copyUnlinked(images: ImageWriter): void {
    this.#ghosts.copy(images);
  }

  /** Writes files.img and the names of unlinked files. */
  save(images: ImageWriter): void {
    images.write(IMAGES.files, this.#entries.values());
    this.#ghosts.save(images);
  }
}

const placeKey = (pid: number, link: string, { dev, ino, links }: FileStat): string =>
  `${pid}:${dev}:${ino}:${links}:${link}`;

const UNREACHABLE: Record<Exclude<Location['state'], 'present' | 'unlinked'>, GhostRefusal> = {
  'other-name': {
    code: 'FileNameGone',
    advice:
      'the name it was opened by was removed, but the file lives on under another name (hard link): keep the name until the checkpoint is done',
  },
  hidden: {
    code: 'FileHidden',
    advice:
      'its path leads to something else now, most likely a mount that covers it: remove the mount or let the application close the file',
  },
};

/** Another file will be in its place: neither its path nor its size matters. */
function externalEntry(id: number, name: string, facts: PathFacts): FileEntry {
  const { flags, pos, owner: fown } = facts;
  const reg = { id, flags, pos, fown, name, ext: true, buildId: [] };
  return { type: FdType.REG, id, reg };
}

function regEntry(id: number, { name }: Location, facts: PathFacts): RegFileEntry {
  const { stat, flags } = facts;
  const regular = (stat.mode & S.IFMT) === S.IFREG;
  // A log that somebody appends to may grow: such a writer does not care.
  const appends = (flags & O.ACCMODE) === O.WRONLY && (flags & O.APPEND) !== 0;
  return {
    id,
    flags,
    pos: facts.pos,
    fown: facts.owner,
    name,
    mode: stat.mode,
    buildId: [],
    ...(regular && !appends && { size: stat.size }),
  };
}
