// What an older dump of the same tree holds of each process.
import { IMAGES } from '../image/image-files.ts';
import { ImageReader } from '../image/reader.ts';
import type { PageRange } from '../linux/procfs/pagemap.ts';
import { readPagemap } from './saved-pages.ts';

export class ParentPages implements Disposable {
  readonly #images: ImageReader;
  readonly #known = new Map<number, readonly PageRange[]>();

  /** @throws the error of open(2) when there is no such directory */
  constructor(imagesDir: string) {
    this.#images = new ImageReader(imagesDir, 'anywhere');
  }

  [Symbol.dispose](): void {
    this.#images[Symbol.dispose]();
  }

  /**
   * Read once.
   *
   * @param pid as the application knows it
   * @returns pages, ascending; none for a process that it does not know
   * @throws ImageError when the older images are damaged: nothing may build on them
   */
  of(pid: number): readonly PageRange[] {
    const known = this.#known.get(pid);
    if (known) return known;
    const image = IMAGES.pagemap(pid);
    const pages = this.#images.has(image) ? readPagemap(this.#images, image).runs : [];
    this.#known.set(pid, pages);
    return pages;
  }
}
