// Puts a rootfs difference into the root of a placeholder: deletions, then files. Every name is looked up inside
// a detached clone of that root mount, one directory at a time, never through a link (openat2).
import * as fs from 'node:fs';
import { errnoOf, TaskFailure } from '../../task-failure.ts';
import { CONTAINER_FILES } from '../layout.ts';
import { FindingList } from './findings.ts';
import { MountGuard, removeContent, removeTree, setAttributes } from './change.ts';
import { cloneMount, makeFifo, O_PATH, openConfined, setTimes } from './native.ts';
import { type LocatedEntry, readEntries } from './pax-reader.ts';
import type { ApplyRequest, RootfsResult, UndoRequest } from './protocol.ts';
import { fromUtf8, inside, nameOf, parentOf, rawPath } from './raw-path.ts';
import type { TarEntry, TarEntryType } from './tar-entry.ts';
import { undoChanges } from './undo.ts';
import { parseDeleted, validateEntries } from './validate.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = fs.constants;
const BUFFER_BYTES = 1 << 20;
const MAX_DELETED_BYTES = 256 << 20;

/**
 * Validates the whole difference, then applies it.
 *
 * @throws TaskFailure BundleInvalid before the first change; the error of a system call
 */
export function apply(request: ApplyRequest, onBytes: (bytes: number) => void): RootfsResult {
  const archiveFd = fs.openSync(
    `${request.inputDirectory}/${CONTAINER_FILES.rootfsDiff}`,
    O_RDONLY | O_NOFOLLOW,
  );
  try {
    const deleted = readDeleted(`${request.inputDirectory}/${CONTAINER_FILES.deleted}`);
    const { entries } = validateEntries(readEntries(archiveFd));
    const applier = new Applier(request, archiveFd, onBytes);
    try {
      if (request.undo !== undefined) {
        applier.undo(request.undo, new Set(deleted));
      }
      applier.run(deleted, request.clear === true);
    } finally {
      applier.close();
    }
    const bytes = fs.fstatSync(archiveFd).size;
    return { entries, deleted: deleted.length, bytes, findings: applier.findings.all() };
  } finally {
    fs.closeSync(archiveFd);
  }
}

function readDeleted(path: string): string[] {
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW);
  try {
    if (fs.fstatSync(fd).size > MAX_DELETED_BYTES) {
      throw new TaskFailure('BundleInvalid', 'deleted.files is too long');
    }
    return parseDeleted(fs.readFileSync(fd, 'utf8'));
  } finally {
    fs.closeSync(fd);
  }
}

class Applier {
  readonly findings = new FindingList();
  readonly #archiveFd: number;
  readonly #onBytes: (bytes: number) => void;
  readonly #rootFd: number;
  readonly #mounts: MountGuard;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  /** modification times of directories are set last: every file made inside changes them */
  readonly #directoryTimes: (readonly [path: string, nanos: bigint])[] = [];
  #written = 0;

  constructor(request: ApplyRequest, archiveFd: number, onBytes: (bytes: number) => void) {
    this.#archiveFd = archiveFd;
    this.#onBytes = onBytes;
    this.#mounts = new MountGuard(request.protect);
    const { mountNamespace, mountPoint = '/' } = request;
    this.#rootFd = cloneMount(mountNamespace, fromUtf8(mountPoint), true);
  }

  close(): void {
    fs.closeSync(this.#rootFd);
  }

  /** Makes the root what its image is, but for what will be placed or deleted anyway. */
  undo(request: UndoRequest, deleted: ReadonlySet<string>): void {
    const placed = new Map<string, TarEntryType>();
    for (const { entry } of readEntries(this.#archiveFd)) {
      placed.set(entry.path, entry.type);
    }
    const target = { rootFd: this.#rootFd, mounts: this.#mounts, findings: this.findings };
    undoChanges(request, target, { placed, deleted });
  }

  run(deleted: readonly string[], clear: boolean): void {
    if (clear) {
      removeContent(this.#rootFd);
    }
    for (const path of deleted) {
      this.#delete(path);
    }
    for (const located of readEntries(this.#archiveFd)) {
      this.#place(located);
    }
    for (const [path, nanos] of this.#directoryTimes.toReversed()) {
      this.#inParent(path, (target) => setTimes(target, nanos));
    }
  }

  /** Already absent, or hidden by something else than a directory: as wanted. */
  #delete(path: string): void {
    if (this.#mounts.carriesMount(path) || this.#mounts.isMounted(path)) {
      this.findings.add('MountInTheWay', path);
      return;
    }
    try {
      this.#inParent(path, (_target, parentFd) => removeTree(parentFd, nameOf(path)));
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) {
        throw error;
      }
    }
  }

  #place({ entry, contentOffset }: LocatedEntry): void {
    const { path, type } = entry;
    if (this.#mounts.isMounted(path)) {
      this.findings.add('MountInTheWay', path);
      return;
    }
    this.#inParent(path, (target, parentFd) => {
      const isDirectory = fs.lstatSync(rawPath(target), { throwIfNoEntry: false })?.isDirectory();
      if (type === 'directory') {
        this.#placeDirectory(entry, target, isDirectory === true ? undefined : parentFd);
        return;
      }
      // Unlinking a mount point from another mount namespace succeeds, and tears the mount away there.
      if (isDirectory === true && this.#mounts.carriesMount(path)) {
        this.findings.add('MountInTheWay', path);
        return;
      }
      removeTree(parentFd, nameOf(path));
      this.#create(entry, contentOffset, target, parentFd);
    });
  }

  /** @param missingIn the parent, when there is no directory of this name yet */
  #placeDirectory(entry: TarEntry, target: string, missingIn: number | undefined): void {
    if (missingIn !== undefined) {
      removeTree(missingIn, nameOf(entry.path));
      fs.mkdirSync(rawPath(target), { mode: 0o700 });
    }
    setAttributes(entry, target);
    this.#directoryTimes.push([entry.path, entry.mtimeNanos]);
  }

  #create(entry: TarEntry, contentOffset: number, target: string, parentFd: number): void {
    switch (entry.type) {
      case 'hardlink':
        this.#inParent(entry.linkPath ?? '', (source) =>
          fs.linkSync(rawPath(source), rawPath(target)),
        );
        return;
      case 'symlink':
        fs.symlinkSync(rawPath(entry.linkPath ?? ''), rawPath(target));
        break;
      case 'fifo':
        makeFifo(target, 0o600);
        break;
      case 'file':
        this.#createFile(entry, contentOffset, parentFd);
        break;
      case 'directory':
        throw new Error('directories are placed, not created');
    }
    setAttributes(entry, target);
    setTimes(target, entry.mtimeNanos);
  }

  #createFile(entry: TarEntry, contentOffset: number, parentFd: number): void {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const fd = openConfined(parentFd, nameOf(entry.path), flags, 0o600);
    try {
      let from = contentOffset;
      for (const { offset, length } of entry.ranges ?? [{ offset: 0, length: entry.sizeBytes }]) {
        this.#copy(fd, from, offset, length);
        from += length;
      }
      fs.ftruncateSync(fd, entry.sizeBytes);
    } finally {
      fs.closeSync(fd);
    }
  }

  #copy(fd: number, from: number, to: number, length: number): void {
    for (let done = 0; done < length; ) {
      const want = Math.min(length - done, BUFFER_BYTES);
      const got = fs.readSync(this.#archiveFd, this.#buffer, 0, want, from + done);
      if (got === 0) {
        throw new TaskFailure('BundleCorrupt', 'rootfs-diff.tar became shorter while it was read');
      }
      for (let written = 0; written < got; ) {
        written += fs.writeSync(fd, this.#buffer, written, got - written, to + done + written);
      }
      done += got;
      this.#written += got;
      this.#onBytes(this.#written);
    }
  }

  #inParent(path: string, body: (target: string, parentFd: number) => void): void {
    const fd = openConfined(this.#rootFd, parentOf(path), O_PATH | O_DIRECTORY);
    try {
      body(inside(fd, nameOf(path)), fd);
    } finally {
      fs.closeSync(fd);
    }
  }
}
