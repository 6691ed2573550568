// What a container changed in its root file system: the writable layer of its overlay says which names, the
// merged root gives their content. Runs while the application runs: everything may change under our feet.
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { LinuxError } from '../../engine/linux/error.ts';
import { errnoOf, TaskFailure } from '../../task-failure.ts';
import { CONTAINER_FILES } from '../layout.ts';
import { ArchiveWriter } from './archive-writer.ts';
import { FindingList } from './findings.ts';
import { cloneMount, dataRanges, getXattr, listXattrs, O_PATH, openConfined } from './native.ts';
import { isOpaque, isPortableXattr, isRedirected, isWhiteout } from './overlay.ts';
import type { CollectRequest, CollectVolumeRequest, RootfsResult } from './protocol.ts';
import { fromUtf8, inside, join, nameOf, parentOf, rawPath, toUtf8 } from './raw-path.ts';
import { dataBytes, type TarEntry, type TarEntryType } from './tar-entry.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const MAX_DEPTH = 1000;
const ENOENT = 2;

export type OnArchiveBytes = (bytes: number) => void;

/** @throws TaskFailure BudgetExceeded, or the error of a system call */
export function collect(
  request: CollectRequest | CollectVolumeRequest,
  onBytes: OnArchiveBytes,
): RootfsResult {
  const collector = new Collector(request, onBytes);
  try {
    return collector.run();
  } finally {
    collector.close();
  }
}

class Collector {
  readonly #request: CollectRequest | CollectVolumeRequest;
  readonly #excluded: readonly string[];
  readonly #archive: ArchiveWriter;
  readonly #findings = new FindingList();
  readonly #deleted: string[] = [];
  /** `device:inode` of files with several names, and the first of them */
  readonly #links = new Map<string, string>();
  /** undefined: everything is wanted, as of a volume */
  readonly #upperFd: number | undefined;
  readonly #lowerFds: readonly number[];
  readonly #mergedFd: number;

  constructor(request: CollectRequest | CollectVolumeRequest, onBytes: OnArchiveBytes) {
    this.#request = request;
    const ofVolume = request.type === 'collect-volume';
    const { exclude, lowers } = ofVolume ? { exclude: [], lowers: [] } : request;
    const mountPoint = ofVolume ? fromUtf8(request.mountPoint) : '/';
    this.#excluded = exclude.map((path) => fromUtf8(path.replace(/^\/+/, '')));
    this.#mergedFd = cloneMount(request.mountNamespace, mountPoint, false);
    this.#upperFd = ofVolume ? undefined : openSync(request.upper, O_RDONLY | O_DIRECTORY);
    this.#lowerFds = lowers.map((path) => openSync(path, O_RDONLY | O_DIRECTORY));
    const output = `${request.outputDirectory}/${CONTAINER_FILES.rootfsDiff}`;
    this.#archive = new ArchiveWriter(output, request.maxBytes, onBytes);
  }

  run(): RootfsResult {
    if (this.#upperFd === undefined) {
      this.#walkMerged('', 0);
    } else {
      this.#walkUpper(this.#upperFd, '', { depth: 0, hides: false });
    }
    const bytes = this.#archive.finish();
    const deleted = this.#deleted.flatMap((path) => {
      const text = toUtf8(path);
      if (text === undefined) {
        this.#findings.add('FileNameNotUtf8', path);
      }
      return text === undefined ? [] : [`/${text}`];
    });
    const { outputDirectory } = this.#request;
    writeFileSync(`${outputDirectory}/${CONTAINER_FILES.deleted}`, JSON.stringify(deleted), {
      mode: 0o600,
    });
    const { entries } = this.#archive;
    return { entries, deleted: deleted.length, bytes, findings: this.#findings.all() };
  }

  close(): void {
    this.#archive.close();
    const upper = this.#upperFd === undefined ? [] : [this.#upperFd];
    [this.#mergedFd, ...upper, ...this.#lowerFds].forEach((fd) => closeSync(fd));
  }

  /**
   * @param folder relative path of a directory that exists in the writable layer
   */
  #walkUpper(upperFd: number, folder: string, at: UpperPlace): void {
    assertDepth(folder, at.depth);
    if (at.hides) {
      this.#findDeletions(folder);
    }
    withDirectory(upperFd, folder, (fd) => {
      for (const name of namesIn(fd)) {
        const path = join(folder, name);
        if (!this.#isExcluded(path)) {
          const step = (): void => this.#visitUpper(upperFd, inside(fd, name), path, at);
          ignoringGone(step);
        }
      }
    });
  }

  #visitUpper(upperFd: number, upperPath: string, path: string, at: UpperPlace): void {
    const stat = lstatSync(rawPath(upperPath), { bigint: true });
    if (isWhiteout(upperPath, stat)) {
      this.#deleted.push(path);
      return;
    }
    this.#add(path, stat);
    if (!stat.isDirectory()) {
      return;
    }
    if (isRedirected(upperPath)) {
      // Its content lies under another name below: only the merged view has it all.
      this.#walkMerged(path, at.depth + 1);
      return;
    }
    const hides = at.hides || isOpaque(upperPath);
    this.#walkUpper(upperFd, path, { depth: at.depth + 1, hides });
  }

  #walkMerged(folder: string, depth: number): void {
    assertDepth(folder, depth);
    this.#findDeletions(folder);
    withDirectory(this.#mergedFd, folder, (fd) => {
      for (const name of namesIn(fd)) {
        const path = join(folder, name);
        ignoringGone(() => {
          const stat = lstatSync(rawPath(inside(fd, name)), { bigint: true });
          this.#add(path, stat);
          if (stat.isDirectory()) {
            this.#walkMerged(path, depth + 1);
          }
        });
      }
    });
  }

  /** Names that a lower layer has in `folder` and the merged view has not: told one by one, as others expect it. */
  #findDeletions(folder: string): void {
    const gone = new Set<string>();
    withDirectory(this.#mergedFd, folder, (mergedFd) => {
      const present = new Set(namesIn(mergedFd));
      for (const lowerFd of this.#lowerFds) {
        ignoringGone(() =>
          withDirectory(lowerFd, folder, (fd) =>
            namesIn(fd)
              .filter((name) => !present.has(name))
              .forEach((name) => gone.add(name)),
          ),
        );
      }
    });
    this.#deleted.push(...[...gone].sort().map((name) => join(folder, name)));
  }

  /** Writes one entry, its content read from the merged view. */
  #add(path: string, identity: BigIntStats): void {
    withDirectory(this.#mergedFd, parentOf(path), (fd) => {
      const source = inside(fd, nameOf(path));
      const stat = lstatSync(rawPath(source), { bigint: true });
      const type = typeOf(stat);
      if (type === undefined) {
        this.#findings.add(stat.isSocket() ? 'SocketFile' : 'DeviceNode', path);
        return;
      }
      if (type !== 'directory' && Number(stat.ctimeMs) > this.#request.frozenAtMillis) {
        this.#findings.add('FileChangedLater', path);
      }
      const key = linkKey(identity);
      const linkPath = key === undefined ? undefined : this.#links.get(key);
      const base = { ...attributesOf(path, stat), xattrs: xattrsOf(source) };
      if (linkPath !== undefined) {
        this.#archive.add({ ...base, type: 'hardlink', linkPath, xattrs: new Map() });
        return;
      }
      this.#addFirst(type, base, fd);
      // Only now: had it vanished before, its other names would link to nothing.
      if (key !== undefined) {
        this.#links.set(key, path);
      }
    });
  }

  #addFirst(type: TarEntryType, base: Omit<TarEntry, 'type'>, parentFd: number): void {
    const name = nameOf(base.path);
    if (type === 'file') {
      this.#addFile(base, parentFd, name);
    } else if (type === 'symlink') {
      const linkPath = readlinkSync(rawPath(inside(parentFd, name)), { encoding: 'latin1' });
      this.#archive.add({ ...base, type, linkPath });
    } else {
      this.#archive.add({ ...base, type });
    }
  }

  #addFile(base: Omit<TarEntry, 'type'>, parentFd: number, name: string): void {
    // Should a fifo have taken the name just now, opening it must not wait for a writer.
    const fd = openConfined(parentFd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) {
        throw new LinuxError('open', ENOENT, { object: base.path });
      }
      const ranges = dataRanges(fd, stat.size);
      const isSparse = dataBytes(ranges) < stat.size;
      const entry: TarEntry = { ...base, type: 'file', sizeBytes: stat.size };
      this.#archive.addFile(isSparse ? { ...entry, ranges } : entry, fd);
    } finally {
      closeSync(fd);
    }
  }

  #isExcluded(path: string): boolean {
    return this.#excluded.some((folder) => path === folder || path.startsWith(`${folder}/`));
  }
}

interface UpperPlace {
  readonly depth: number;
  /** nothing of the lower layers shows in it: it, or one above it, is opaque */
  readonly hides: boolean;
}

export function typeOf(stat: BigIntStats): TarEntryType | undefined {
  if (stat.isFile()) {
    return 'file';
  }
  if (stat.isDirectory()) {
    return 'directory';
  }
  if (stat.isSymbolicLink()) {
    return 'symlink';
  }
  return stat.isFIFO() ? 'fifo' : undefined;
}

/** Identity of a file that has more than one name. */
function linkKey(stat: BigIntStats): string | undefined {
  return stat.nlink < 2n || stat.isDirectory() ? undefined : `${stat.dev}:${stat.ino}`;
}

export function attributesOf(path: string, stat: BigIntStats): Omit<TarEntry, 'type' | 'xattrs'> {
  return {
    path,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeNanos: stat.mtimeNs,
    sizeBytes: 0,
  };
}

export function xattrsOf(path: string): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const name of listXattrs(path).filter(isPortableXattr)) {
    const value = getXattr(path, name);
    if (value !== undefined) {
      xattrs.set(name, value);
    }
  }
  return xattrs;
}

export function withDirectory(rootFd: number, path: string, body: (fd: number) => void): void {
  const fd = openConfined(rootFd, path, O_PATH | O_DIRECTORY);
  try {
    body(fd);
  } finally {
    closeSync(fd);
  }
}

export function namesIn(fd: number): string[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' }).sort();
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/** The application deletes and replaces files while we look: what is gone is not part of the picture. */
export function ignoringGone(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!GONE.has(errnoOf(error) ?? '')) {
      throw error;
    }
  }
}

export function assertDepth(path: string, depth: number): void {
  if (depth > MAX_DEPTH) {
    throw new TaskFailure('Unsupported', `/${path} is nested more than ${MAX_DEPTH} levels deep`);
  }
}
