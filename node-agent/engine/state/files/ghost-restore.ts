// Unlinked files get a name and their content for as long as somebody has to open them; then the name goes again, but for
// those in shared memory that had one.
import {
  chmodSync,
  chownSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { IMAGES } from '../../image/image-files.ts';
import type { GhostFileEntry } from '../../image/messages/files.ts';
import type { ImageReader } from '../../image/reader.ts';
import { encodeText } from '../../image/text.ts';
import { closeFd, type OwnedFd } from '../../linux/descriptors.ts';
import { makeNode, O, S } from '../../linux/file-facts.ts';
import { pathIn, splitPath, TemporaryDirectories } from './temporary-directories.ts';

const PERMISSIONS = 0o7777;
const OWNER_READ_WRITE = 0o600;

/** One unlinked file that stands at a path for now. */
export interface LivingGhost {
  /** path inside the target's root */
  readonly path: string;
  /** the engine's descriptor, to be opened anew through /proc/self/fd */
  readonly fd: number;
}

interface MadeFile {
  readonly base: string;
  readonly fd: number;
}

interface Undo {
  /** `/proc/self/fd/N/name`: not to be led astray by a rename or link above it */
  readonly at: Buffer;
  readonly directory: boolean;
  readonly keepsName: boolean;
}

/** The unlinked files of one restored tree. */
export class GhostFiles {
  readonly #images: ImageReader;
  readonly #living = new Map<number, LivingGhost & { readonly head: GhostFileEntry }>();
  readonly #undo: Undo[] = [];
  readonly #directories: TemporaryDirectories;

  constructor(images: ImageReader, root: OwnedFd) {
    this.#images = images;
    this.#directories = new TemporaryDirectories(root);
  }

  /**
   * Makes the file, once.
   *
   * @param name where it was opened once; taken by another file meanwhile, it stands beside that one
   * @param keepsName what is there by that name is the file, and gets its content back
   */
  materialise(ghostId: number, name: string, keepsName = false): LivingGhost {
    const known = this.#living.get(ghostId);
    if (known) return known;
    const head = this.#images.head(IMAGES.ghostFile(ghostId));
    const { directory, base } = splitPath(name);
    const parent = this.#directories.open(directory);
    const other = `${base}.diapause-${ghostId}`;
    const made =
      this.#make(parent, base, head, keepsName) ??
      (keepsName ? this.#take(parent, base) : this.#make(parent, other, head, false));
    if (!made) throw new Error(`${name}: ${other} exists too; remove what a failed restore left`);
    const path = `${directory === '/' ? '' : directory}/${made.base}`;
    if ((head.mode & S.IFMT) === S.IFREG) this.#fill(ghostId, head, made.fd);
    const link = `/proc/self/fd/${made.fd}`;
    if ((head.mode & S.IFMT) !== S.IFLNK) {
      chownSync(link, head.uid, head.gid);
      // Whoever owned it could open it once; until everybody has, its mode must not stand in the way.
      chmodSync(link, (head.mode & PERMISSIONS) | OWNER_READ_WRITE);
    }
    const ghost = { path, fd: made.fd, head };
    this.#living.set(ghostId, ghost);
    return ghost;
  }

  /** @returns undefined when the name is taken */
  #make(
    parent: OwnedFd,
    base: string,
    head: GhostFileEntry,
    keepsName: boolean,
  ): MadeFile | undefined {
    const at = pathIn(parent, base);
    try {
      const fd = makeObject(at, head);
      this.#undo.push({ at, directory: (head.mode & S.IFMT) === S.IFDIR, keepsName });
      return { base, fd };
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  }

  /** Another container of the pod has brought it back, or it was never away. */
  #take(parent: OwnedFd, base: string): MadeFile {
    const { O_RDWR, O_NOFOLLOW } = constants;
    const fd = openSync(pathIn(parent, base), O_RDWR | O_NOFOLLOW);
    ftruncateSync(fd);
    return { base, fd };
  }

  #fill(ghostId: number, head: GhostFileEntry, fd: number): void {
    const image = IMAGES.ghostFile(ghostId);
    if (head.chunks !== true) {
      using cursor = this.#images.open(image);
      cursor?.head();
      const content = cursor?.rest();
      if (content && content.bytes > 0) writeAll(fd, content.read(), 0n);
      return;
    }
    for (const { record, read } of this.#images.payloads(image)) writeAll(fd, read(), record.off);
    if (head.size !== undefined) ftruncateSync(fd, Number(head.size));
  }

  /** Takes the names away again, and gives the files their true modes and times. Everybody has opened them. */
  unlink(): void {
    for (const { fd, head } of this.#living.values()) {
      if ((head.mode & S.IFMT) === S.IFLNK) continue;
      const link = `/proc/self/fd/${fd}`;
      chmodSync(link, head.mode & PERMISSIONS);
      if (head.atim && head.mtim) utimesSync(link, seconds(head.atim), seconds(head.mtim));
    }
    const gone = this.#undo.filter(({ keepsName }) => !keepsName);
    this.#undo.splice(0, this.#undo.length, ...gone);
    this.#remove();
  }

  /** Removes what is left, whatever happened. */
  [Symbol.dispose](): void {
    this.#remove();
    for (const { fd } of this.#living.values()) closeFd(fd);
    this.#living.clear();
  }

  #remove(): void {
    for (const { at, directory } of this.#undo.splice(0).reverse()) {
      if (directory) rmdirSync(at);
      else unlinkSync(at);
    }
    this.#directories[Symbol.dispose]();
  }
}

function makeObject(at: Buffer, { mode, rdev, symlnkTarget }: GhostFileEntry): number {
  const kind = mode & S.IFMT;
  if (kind === S.IFLNK) {
    symlinkSync(Buffer.from(encodeText(symlnkTarget ?? '')), at);
    return openSync(at, O.PATH | O.NOFOLLOW);
  }
  if (kind === S.IFDIR) {
    mkdirSync(at, 0o700);
    return openSync(at, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  }
  if (kind === S.IFIFO || kind === S.IFCHR) {
    makeNode(at, kind | OWNER_READ_WRITE, rdev ?? 0);
    return openSync(at, O.PATH | O.NOFOLLOW);
  }
  const { O_CREAT, O_EXCL, O_RDWR, O_NOFOLLOW } = constants;
  return openSync(at, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, OWNER_READ_WRITE);
}

function isTaken(error: unknown): boolean {
  const { code, errno } = error as { code?: string; errno?: unknown };
  return code === 'EEXIST' || errno === 'EEXIST';
}

function writeAll(fd: number, content: Uint8Array, offset: bigint): void {
  for (let done = 0; done < content.length; ) {
    done += writeSync(fd, content, done, content.length - done, Number(offset) + done);
  }
}

const seconds = ({ tvSec, tvUsec }: { readonly tvSec: bigint; readonly tvUsec: bigint }): number =>
  Number(BigInt.asIntN(64, tvSec)) + Number(tvUsec) / 1e6;
