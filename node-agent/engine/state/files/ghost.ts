// Unlinked files: their content travels in the images, and they get a name again for as long as the restore needs one.
import { closeSync, openSync, readSync } from 'node:fs';
import { IMAGES } from '../../image/image-files.ts';
import { RemapType } from '../../image/messages/enums.ts';
import type { GhostFileEntry } from '../../image/messages/files.ts';
import type { ImageWriter } from '../../image/writer.ts';
import { type FileStat, type FileTime, S } from '../../linux/file-facts.ts';
import { type Extent, dataExtents } from '../../linux/sparse.ts';

/** A piece of an unlinked file that is not a hole. */
interface Chunk {
  readonly offset: bigint;
  readonly content: Buffer;
}

interface Ghost {
  readonly id: number;
  readonly stat: FileStat;
  /** of a symbolic link */
  readonly target: string | undefined;
  readonly chunks: readonly Chunk[];
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
  readonly #uses: { readonly fileId: number; readonly ghostId: number }[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Copies the content now: the application may change it as soon as it runs again.
   *
   * @returns why not, when it cannot be kept
   */
  keep(fileId: number, source: GhostSource): GhostRefusal | undefined {
    const { stat, magicLink } = source;
    const key = `${stat.dev}:${stat.ino}`;
    let ghost = this.#ghosts.get(key);
    if (!ghost) {
      const refused = this.#judge(stat);
      if (refused) return refused;
      const kind = stat.mode & S.IFMT;
      const chunks = kind === S.IFREG ? readChunks(magicLink, stat.size) : [];
      const target = kind === S.IFLNK ? source.readTarget() : undefined;
      ghost = { id: this.#ghosts.size + 1, stat, target, chunks };
      this.#ghosts.set(key, ghost);
    }
    this.#uses.push({ fileId, ghostId: ghost.id });
    return undefined;
  }

  #judge(stat: FileStat): GhostRefusal | undefined {
    if (!RESTORABLE.has(stat.mode & S.IFMT)) {
      return { code: 'GhostKind', advice: 'an unlinked object of this kind cannot be made again' };
    }
    const bytes = stat.size < stat.allocated ? stat.size : stat.allocated;
    if (bytes <= BigInt(this.#maxBytes)) return undefined;
    return {
      code: 'GhostTooLarge',
      advice: `the file is unlinked and holds ${bytes} bytes, more than the limit of ${this.#maxBytes}: raise the limit or let the application close it`,
    };
  }

  save(images: ImageWriter): void {
    for (const { id, stat, target, chunks } of this.#ghosts.values()) {
      const image = IMAGES.ghostFile(id);
      images.head(image, ghostHead(stat, target));
      for (const { offset, content } of chunks) {
        images.append(image, { len: BigInt(content.length), off: offset }, content);
      }
    }
    images.write(
      IMAGES.remapFpath,
      this.#uses.map(({ fileId, ghostId }) => ({
        origId: fileId,
        remapId: ghostId,
        remapType: RemapType.GHOST,
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

function readChunks(magicLink: string, size: bigint): Chunk[] {
  const fd = openSync(magicLink, 'r');
  try {
    return dataExtents(fd, size).flatMap((extent) => readExtent(fd, extent));
  } finally {
    closeSync(fd);
  }
}

function readExtent(fd: number, { start, end }: Extent): Chunk[] {
  const chunks: Chunk[] = [];
  for (let offset = start; offset < end; ) {
    const content = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Number(end - offset)));
    const length = readSync(fd, content, 0, content.length, offset);
    if (length === 0) break;
    chunks.push({ offset, content: content.subarray(0, length) });
    offset += BigInt(length);
  }
  return chunks;
}
