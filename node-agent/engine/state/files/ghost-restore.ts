// Unlinked files get a name and their content for as long as somebody has to open them; then the name goes again.
import {
  chmodSync,
  chownSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmdirSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { IMAGES } from '../../image/image-files.ts';
import type { GhostFileEntry } from '../../image/messages/files.ts';
import type { ImageReader } from '../../image/reader.ts';
import { encodeText } from '../../image/text.ts';
import { closeFd, OwnedFd } from '../../linux/descriptors.ts';
import { LinuxError } from '../../linux/error.ts';
import { makeFifo, O, openBelow, S } from '../../linux/file-facts.ts';

const PERMISSIONS = 0o7777;
const OWNER_READ_WRITE = 0o600;
const MAX_DEPTH = 64;

/** One unlinked file that stands at a path for now. */
export interface LivingGhost {
  /** path inside the target's root */
  readonly path: string;
  /** the engine's descriptor, to be opened anew through /proc/self/fd */
  readonly fd: number;
}

interface Undo {
  /** `/proc/self/fd/N/name`: not to be led astray by a rename or link above it */
  readonly at: Buffer;
  readonly directory: boolean;
}

/** The unlinked files of one restored tree. */
export class GhostFiles {
  readonly #images: ImageReader;
  readonly #root: OwnedFd;
  readonly #living = new Map<number, LivingGhost & { readonly head: GhostFileEntry }>();
  readonly #undo: Undo[] = [];
  readonly #directories: OwnedFd[] = [];

  constructor(images: ImageReader, root: OwnedFd) {
    this.#images = images;
    this.#root = root;
  }

  /**
   * Makes the file, once.
   *
   * @param name where it was opened once; taken by another file meanwhile, it stands beside that one
   */
  materialise(ghostId: number, name: string): LivingGhost {
    const known = this.#living.get(ghostId);
    if (known) return known;
    const head = this.#images.head(IMAGES.ghostFile(ghostId));
    const slash = name.lastIndexOf('/');
    const parent = this.#parent(name.slice(0, slash) || '/');
    const base = name.slice(slash + 1);
    const other = `${base}.diapause-${ghostId}`;
    const made = this.#make(parent, base, head) ?? this.#make(parent, other, head);
    if (!made) throw new Error(`${name}: ${other} exists too; remove what a failed restore left`);
    const path = `${name.slice(0, slash)}/${made.base}`;
    if ((head.mode & S.IFMT) === S.IFREG) this.#fill(ghostId, head, made.fd);
    const link = `/proc/self/fd/${made.fd}`;
    chownSync(link, head.uid, head.gid);
    // Whoever owned it could open it once; until everybody has, its mode must not stand in the way.
    chmodSync(link, (head.mode & PERMISSIONS) | OWNER_READ_WRITE);
    const ghost = { path, fd: made.fd, head };
    this.#living.set(ghostId, ghost);
    return ghost;
  }

  /** The directory it stood in; one that is gone too is made again for the moment. */
  #parent(path: string, depth = 0): OwnedFd {
    const fd = openBelow(this.#root, path, O.PATH | O.DIRECTORY);
    if (fd >= 0) return this.#keep(fd);
    const error = new LinuxError('open', -fd, { object: path });
    if (error.errno !== 'ENOENT' || depth > MAX_DEPTH) throw error;
    const slash = path.lastIndexOf('/');
    const above = this.#parent(path.slice(0, slash) || '/', depth + 1);
    const at = pathIn(above, path.slice(slash + 1));
    mkdirSync(at, 0o700);
    this.#undo.push({ at, directory: true });
    return this.#keep(openSync(at, O.PATH | O.DIRECTORY | O.NOFOLLOW));
  }

  #keep(fd: number): OwnedFd {
    const owned = new OwnedFd(fd);
    this.#directories.push(owned);
    return owned;
  }

  /** @returns undefined when the name is taken */
  #make(
    parent: OwnedFd,
    base: string,
    { mode }: GhostFileEntry,
  ): { readonly base: string; readonly fd: number } | undefined {
    const at = pathIn(parent, base);
    try {
      const fd = makeObject(at, mode & S.IFMT);
      this.#undo.push({ at, directory: (mode & S.IFMT) === S.IFDIR });
      return { base, fd };
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
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
      const link = `/proc/self/fd/${fd}`;
      chmodSync(link, head.mode & PERMISSIONS);
      if (head.atim && head.mtim) utimesSync(link, seconds(head.atim), seconds(head.mtim));
    }
    this.#remove();
  }

  /** Removes what is left, whatever happened. */
  [Symbol.dispose](): void {
    this.#remove();
    for (const { fd } of this.#living.values()) closeFd(fd);
    this.#living.clear();
    for (const directory of this.#directories.splice(0)) directory[Symbol.dispose]();
  }

  #remove(): void {
    for (const { at, directory } of this.#undo.splice(0).reverse()) {
      if (directory) rmdirSync(at);
      else unlinkSync(at);
    }
  }
}

const pathIn = (directory: OwnedFd, base: string): Buffer =>
  Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), encodeText(base)]);

function makeObject(at: Buffer, kind: number): number {
  if (kind === S.IFDIR) {
    mkdirSync(at, 0o700);
    return openSync(at, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  }
  if (kind === S.IFIFO) {
    makeFifo(at, OWNER_READ_WRITE);
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
