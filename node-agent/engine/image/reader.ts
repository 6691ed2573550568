// Reads an images directory, CRIU's or ours. A missing image is an empty one.
import { constants, type PathLike, readdirSync } from 'node:fs';
import { ImageCursor, type PayloadRecord } from './cursor.ts';
import { ImageError } from './image-error.ts';
import { type AnyImage, type Image, IMAGES, PARENT_LINK } from './image-files.ts';
import type { FileEntry } from './messages/files.ts';
import { hasCode, ImagesDirectory, type ParentScope } from './images-directory.ts';

/** Reads images of one directory. Dispose of it when done. */
export class ImageReader {
  readonly #directory: ImagesDirectory;
  readonly #scope: ParentScope;
  #parent: ImageReader | undefined;
  #openFiles: readonly FileEntry[] | undefined;

  /** @param scope where the older directories of an incremental chain may lie */
  constructor(directory: PathLike | ImagesDirectory, scope: ParentScope = 'sibling') {
    this.#directory =
      directory instanceof ImagesDirectory ? directory : new ImagesDirectory(directory);
    this.#scope = scope;
  }

  [Symbol.dispose](): void {
    this.#parent?.[Symbol.dispose]();
    this.#directory[Symbol.dispose]();
  }

  /** Names of all files, sorted. */
  files(): string[] {
    return readdirSync(this.#directory.pathOf('.')).sort();
  }

  has(image: AnyImage): boolean {
    using cursor = this.open(image);
    return cursor !== undefined;
  }

  /** All records of an image, none if it is missing; a head is left out. @throws ImageError */
  records<Rec>(image: Image<Rec, unknown>): Rec[] {
    using cursor = this.open(image);
    if (!cursor) return [];
    if (image.head) cursor.head();
    return [...cursor.records()];
  }

  /** files.img, decoded once: every stage of a restore asks for it. @throws ImageError */
  get openFiles(): readonly FileEntry[] {
    return (this.#openFiles ??= this.records(IMAGES.files));
  }

  /** The only record of an image. @throws ImageError when there is none, or more than one */
  single<Rec>(image: Image<Rec, unknown>): Rec {
    const records = this.records(image);
    const [only] = records;
    if (only !== undefined && records.length === 1) return only;
    const reason =
      records.length === 0 ? 'is missing or empty' : `has ${records.length} records, not 1`;
    throw new ImageError({ file: image.file, reason });
  }

  /** First record of an image with a head: pagemap, ghost-file. @throws ImageError when it is missing */
  head<Head>(image: Image<unknown, Head>): Head {
    using cursor = this.open(image);
    if (!cursor) throw new ImageError({ file: image.file, reason: 'is missing' });
    return cursor.head();
  }

  /** Records with the raw bytes behind them; `read()` works until the next step of the loop. */
  *payloads<Rec>(image: Image<Rec, unknown>): Generator<PayloadRecord<Rec>> {
    using cursor = this.open(image);
    if (!cursor) return;
    if (image.head) cursor.head();
    yield* cursor.payloads();
  }

  /** An image to be walked by hand; undefined if it is missing. Dispose of it. */
  open<Rec, Head>(image: Image<Rec, Head>): ImageCursor<Rec, Head> | undefined {
    const opened = this.#open(image.file);
    return opened && new ImageCursor(image, opened.fd, opened.bytes);
  }

  /** Descriptor and size of a raw file, `RAW_FILES.pages(1)`; undefined if it is missing. The caller closes it. */
  openRaw(file: string): { readonly fd: number; readonly bytes: number } | undefined {
    return this.#open(file);
  }

  /** The images that an incremental dump builds on, open as long as these; undefined if this is the first. @throws ImageError */
  get parent(): ImageReader | undefined {
    if (this.#parent) return this.#parent;
    const directory = this.#directory.follow(PARENT_LINK, this.#scope);
    this.#parent = directory && new ImageReader(directory, this.#scope);
    return this.#parent;
  }

  #open(file: string): { readonly fd: number; readonly bytes: number } | undefined {
    try {
      return this.#directory.open(file, constants.O_RDONLY);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}
