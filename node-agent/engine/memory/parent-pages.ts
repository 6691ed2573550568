// What an older dump of the same tree holds of each process.
import { IMAGES } from '../image/image-files.ts';
import { ImageReader } from '../image/reader.ts';
import type { PageRange } from '../linux/procfs/pagemap.ts';
import { readPagemap } from './saved-pages.ts';

export class ParentPages implements Disposable {
  readonly #images: ImageReader;

  /** @throws the error of open(2) when there is no such directory */
  constructor(imagesDir: string) {
    this.#images = new ImageReader(imagesDir, 'anywhere');
  }

  [Symbol.dispose](): void {
    this.#images[Symbol.dispose]();
  }

  /**
   * @param pid as the application knows it
   * @returns pages, ascending; none for a process that it does not know
   * @throws ImageError when the older images are damaged: nothing may build on them
   */
  of(pid: number): readonly PageRange[] {
    const image = IMAGES.pagemap(pid);
    return this.#images.has(image) ? readPagemap(this.#images, image).runs : [];
  }
}
