// Takes back what a container has changed in its root since it was started: what it made goes, what it changed or deleted
// comes back from the image. Nothing of the container runs meanwhile.
import * as fs from 'node:fs';
import {
  assertDepth,
  attributesOf,
  ignoringGone,
  namesIn,
  typeOf,
  withDirectory,
  xattrsOf,
} from './collect.ts';
import { MountGuard, removeTree, setAttributes } from './change.ts';
import type { FindingList } from './findings.ts';
import { LowerView } from './lower-view.ts';
import { dataRanges, makeFifo, openConfined, setTimes } from './native.ts';
import { isOpaque, isRedirected, isWhiteout } from './overlay.ts';
import type { UndoRequest } from './protocol.ts';
import { inside, join, nameOf, parentOf, rawPath } from './raw-path.ts';
import type { TarEntryType } from './tar-entry.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = fs.constants;
const BUFFER_BYTES = 1 << 20;

export interface UndoTarget {
  /** detached clone of the root mount */
  readonly rootFd: number;
  readonly mounts: MountGuard;
  readonly findings: FindingList;
}

/** What is done afterwards in any case. */
export interface Afterwards {
  readonly placed: ReadonlyMap<string, TarEntryType>;
  readonly deleted: ReadonlySet<string>;
}

/** @throws the error of a system call */
export function undoChanges(request: UndoRequest, target: UndoTarget, after: Afterwards): void {
  using lower = new LowerView(request.lowers);
  const upperFd = fs.openSync(request.upper, O_RDONLY | O_DIRECTORY);
  try {
    const layers = { upperFd, lower, excluded: new MountGuard(request.exclude) };
    new Undo(layers, target, after).walk('', 0);
  } finally {
    fs.closeSync(upperFd);
  }
}

interface Layers {
  readonly upperFd: number;
  readonly lower: LowerView;
  readonly excluded: MountGuard;
}

class Undo {
  readonly #upperFd: number;
  readonly #lower: LowerView;
  readonly #excluded: MountGuard;
  readonly #target: UndoTarget;
  readonly #after: Afterwards;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);

  constructor({ upperFd, lower, excluded }: Layers, target: UndoTarget, after: Afterwards) {
    this.#upperFd = upperFd;
    this.#lower = lower;
    this.#excluded = excluded;
    this.#target = target;
    this.#after = after;
  }

  /** @param folder a directory of the writable layer */
  walk(folder: string, depth: number): void {
    assertDepth(folder, depth);
    withDirectory(this.#upperFd, folder, (fd) => {
      for (const name of namesIn(fd)) {
        const path = join(folder, name);
        if (!this.#isForeign(path)) {
          ignoringGone(() => this.#visit(inside(fd, name), path, depth));
        }
      }
    });
  }

  #isForeign(path: string): boolean {
    return this.#excluded.isMounted(path) || this.#target.mounts.isMounted(path);
  }

  #visit(upperPath: string, path: string, depth: number): void {
    const stat = fs.lstatSync(rawPath(upperPath), { bigint: true });
    const placed = this.#after.placed.get(path);
    if (isWhiteout(upperPath, stat)) {
      if (!this.#after.deleted.has(path) && (placed === undefined || placed === 'directory')) {
        this.#putBack(path);
      }
      return;
    }
    if (stat.isDirectory()) {
      this.#visitDirectory(upperPath, path, depth);
    } else if (placed === undefined || placed === 'directory') {
      this.#replace(path);
    }
  }

  #visitDirectory(upperPath: string, path: string, depth: number): void {
    const image = this.#lower.find(path);
    const isOfImage = image?.stat.isDirectory() === true;
    const isPlaced = this.#after.placed.get(path) === 'directory';
    const stays = this.#target.mounts.carriesMount(path) || this.#excluded.carriesMount(path);
    const isWhole = !isOfImage || isRedirected(upperPath);
    if (isWhole && !stays && !(isPlaced && !isOfImage)) {
      this.#replace(path);
      return;
    }
    const hides = isOfImage && isOpaque(upperPath);
    this.walk(path, depth + 1);
    if (hides) {
      this.#putBackMissing(path);
    }
    if (isOfImage && !isPlaced) {
      this.#inRoot(path, (target) => this.#setFromImage(path, target));
    }
  }

  #replace(path: string): void {
    this.#inRoot(path, (_target, parentFd) => removeTree(parentFd, nameOf(path)));
    this.#putBack(path);
  }

  /** Names of the image that an opaque directory hides. */
  #putBackMissing(folder: string): void {
    const image = this.#lower.find(folder);
    if (image === undefined) {
      return;
    }
    const present = new Set<string>();
    withDirectory(this.#target.rootFd, folder, (fd) => {
      namesIn(fd).forEach((name) => present.add(name));
    });
    for (const name of this.#lower.names(folder, image)) {
      const path = join(folder, name);
      if (!present.has(name) && !this.#after.deleted.has(path)) {
        this.#putBack(path);
      }
    }
  }

  /** Nothing of that name is there. */
  #putBack(path: string): void {
    const image = this.#lower.find(path);
    if (image === undefined) {
      return;
    }
    const type = typeOf(image.stat);
    if (type === undefined) {
      this.#target.findings.add(image.stat.isSocket() ? 'SocketFile' : 'DeviceNode', path);
      return;
    }
    this.#inRoot(path, (target, parentFd) => {
      if (type === 'directory') {
        fs.mkdirSync(rawPath(target), { mode: 0o700 });
        for (const name of this.#lower.names(path, image)) {
          this.#putBack(join(path, name));
        }
      } else {
        this.#create(path, type, target, parentFd);
      }
      this.#setFromImage(path, target);
    });
  }

  #create(path: string, type: TarEntryType, target: string, parentFd: number): void {
    this.#inImage(path, (source, layer) => {
      if (type === 'symlink') {
        fs.symlinkSync(fs.readlinkSync(rawPath(source), 'buffer'), rawPath(target));
      } else if (type === 'fifo') {
        makeFifo(target, 0o600);
      } else {
        this.#copyFile(layer, path, parentFd);
      }
    });
  }

  #copyFile(layer: number, path: string, parentFd: number): void {
    const from = openConfined(layer, path, O_RDONLY | O_NOFOLLOW);
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const to = openConfined(parentFd, nameOf(path), flags, 0o600);
    try {
      const { size } = fs.fstatSync(from);
      for (const { offset, length } of dataRanges(from, size)) {
        this.#copyRange(from, to, offset, offset + length);
      }
      fs.ftruncateSync(to, size);
    } finally {
      fs.closeSync(from);
      fs.closeSync(to);
    }
  }

  #copyRange(from: number, to: number, start: number, end: number): void {
    for (let at = start; at < end; ) {
      const got = fs.readSync(from, this.#buffer, 0, Math.min(end - at, BUFFER_BYTES), at);
      if (got === 0) {
        return;
      }
      for (let done = 0; done < got; ) {
        done += fs.writeSync(to, this.#buffer, done, got - done, at + done);
      }
      at += got;
    }
  }

  #setFromImage(path: string, target: string): void {
    this.#inImage(path, (source) => {
      const stat = fs.lstatSync(rawPath(source), { bigint: true });
      const type = typeOf(stat);
      if (type !== undefined) {
        setAttributes({ ...attributesOf(path, stat), type, xattrs: xattrsOf(source) }, target);
        setTimes(target, stat.mtimeNs);
      }
    });
  }

  #inImage(path: string, body: (source: string, layer: number) => void): void {
    const layer = this.#lower.find(path)?.layers[0];
    if (layer !== undefined) {
      withDirectory(layer, parentOf(path), (fd) => body(inside(fd, nameOf(path)), layer));
    }
  }

  #inRoot(path: string, body: (target: string, parentFd: number) => void): void {
    withDirectory(this.#target.rootFd, parentOf(path), (fd) => body(inside(fd, nameOf(path)), fd));
  }
}
