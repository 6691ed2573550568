// Unlinked files: their content travels in the images, and they get a name again for as long as the restore needs one.
import { closeSync, openSync, readSync } from 'node:fs';
import { IMAGES } from '../../image/image-files.ts';
import { RemapType } from '../../image/messages/enums.ts';
import type { GhostFileEntry } from '../../image/messages/files.ts';
import type { ImageWriter } from '../../image/writer.ts';
import { type FileStat, type FileTime, S } from '../../linux/file-facts.ts';
import { type Extent, dataExtents } from '../../linux/sparse.ts';

interface Ghost {
  readonly id: number;
  readonly stat: FileStat;
  /** of a symbolic link */
  readonly target: string | undefined;
  /** the engine's own descriptor of a regular file, until it is copied */
  readonly fd: number | undefined;
}

/** An unlinked file that is still there. */
export interface GhostSource {
  readonly stat: FileStat;
  /** opens it though it has no name */
  readonly magicLink: string;
  /** what a symbolic link says */
  readTarget(): string;
}

/** Why an unlinked file cannot be kept. */
export interface GhostRefusal {
  readonly code: string;
  readonly advice: string;
}

/** Of devices only the harmless ones get here. */
const RESTORABLE: ReadonlySet<number> = new Set([S.IFREG, S.IFDIR, S.IFIFO, S.IFLNK, S.IFCHR]);
const CHUNK_BYTES = 1 << 20;

/** The unlinked files of one saved tree, each once however often it is open. */
export class GhostStore {
  readonly #maxBytes: number;
  readonly #ghosts = new Map<string, Ghost>();
  readonly #uses: {
    readonly fileId: number;
    readonly ghostId: number;
    readonly keepsName: boolean;
  }[] = [];
  readonly #ended: { readonly fileId: number; readonly pid: number }[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Notes a file; {@link copy} reads it.
   *
   * @param keepsName it has a name, and no other way than this to where it is restored
   * @returns why not, when it cannot be kept
   */
  keep(fileId: number, source: GhostSource, keepsName = false): GhostRefusal | undefined {
    const { stat, magicLink } = source;
    const key = `${stat.dev}:${stat.ino}`;
    let ghost = this.#ghosts.get(key);
    if (!ghost) {
      const refused = this.#judge(stat);
      if (refused) return refused;
      const kind = stat.mode & S.IFMT;
      const fd = kind === S.IFREG ? openSync(magicLink, 'r') : undefined;
      const target = kind === S.IFLNK ? source.readTarget() : undefined;
      ghost = { id: this.#ghosts.size + 1, stat, target, fd };
      this.#ghosts.set(key, ghost);
    }
    this.#uses.push({ fileId, ghostId: ghost.id, keepsName });
    return undefined;
  }

  /** Notes something below the directory of a process that has ended: there is nothing to be kept. */
  noteEnded(fileId: number, pid: number): void {
    this.#ended.push({ fileId, pid });
  }

  #judge(stat: FileStat): GhostRefusal | undefined {
    if (!RESTORABLE.has(stat.mode & S.IFMT)) {
      return { code: 'GhostKind', advice: 'an unlinked object of this kind cannot be made again' };
    }
    const bytes = stat.size < stat.allocated ? stat.size : stat.allocated;
    if (bytes <= BigInt(this.#maxBytes)) return undefined;
    return {
      code: 'GhostTooLarge',
      advice: `the file is unlinked or in shared memory and holds ${bytes} bytes, more than the limit of ${this.#maxBytes}: raise the limit or let the application close it`,
    };
  }

  /**
   * Copies all content in the freeze, piece by piece and without its holes: the application may change it as soon as it
   * runs again.
   */
  copy(images: ImageWriter): void {
    for (const { id, stat, target, fd } of this.#ghosts.values()) {
      const image = IMAGES.ghostFile(id);
      images.head(image, ghostHead(stat, target));
      if (fd === undefined) continue;
      for (const extent of dataExtents(fd, stat.size)) copyExtent(fd, extent, image, images);
    }
    this[Symbol.dispose]();
  }

  /** Closes what was not copied. */
  [Symbol.dispose](): void {
    for (const [key, { fd, ...ghost }] of this.#ghosts) {
      if (fd === undefined) continue;
      closeSync(fd);
      this.#ghosts.set(key, { ...ghost, fd: undefined });
    }
  }

  save(images: ImageWriter): void {
    images.write(
      IMAGES.remapFpath,
      this.#uses.map(({ fileId, ghostId, keepsName }) => ({
        origId: fileId,
        remapId: ghostId,
        remapType: RemapType.GHOST,
        ...(keepsName && { keepsName }),
      })),
    );
    images.write(
      IMAGES.remapFpath,
      this.#ended.map(({ fileId, pid }) => ({
        origId: fileId,
        remapId: pid,
        remapType: RemapType.PROCFS,
      })),
    );
  }
}

function ghostHead(stat: FileStat, target: string | undefined): GhostFileEntry {
  const kind = stat.mode & S.IFMT;
  return {
    uid: stat.uid,
    gid: stat.gid,
    mode: stat.mode,
    dev: stat.dev,
    ino: stat.ino,
    atim: timeval(stat.accessed),
    mtim: timeval(stat.modified),
    ...(kind === S.IFREG && { chunks: true, size: stat.size }),
    ...(kind === S.IFCHR && { rdev: (stat.rdevMajor << 20) | stat.rdevMinor }),
    ...(target !== undefined && { symlnkTarget: target }),
  };
}

const timeval = ({ seconds, nanos }: FileTime) => ({
  tvSec: BigInt.asUintN(64, seconds),
  tvUsec: BigInt(Math.floor(nanos / 1000)),
});

function copyExtent(
  fd: number,
  { start, end }: Extent,
  image: ReturnType<typeof IMAGES.ghostFile>,
  images: ImageWriter,
): void {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Number(end - start)));
  for (let offset = start; offset < end; ) {
    const length = readSync(fd, buffer, 0, Math.min(buffer.length, Number(end - offset)), offset);
    if (length === 0) return;
    images.append(image, { len: BigInt(length), off: offset }, buffer.subarray(0, length));
    offset += BigInt(length);
  }
}
