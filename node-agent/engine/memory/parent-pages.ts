// What an older dump of the same tree holds of each process.
import { IMAGES } from '../image/image-files.ts';
import { ImageReader } from '../image/reader.ts';
import type { PageRange } from '../linux/procfs/pagemap.ts';
import type { FlatRuns } from './page-copies.ts';
import { readPagemap } from './saved-pages.ts';

export interface OlderPages {
  /** ascending */
  readonly ranges: readonly PageRange[];
  /** the same in the form in which the freeze reads them */
  readonly flat: FlatRuns;
}

export const NOTHING: OlderPages = { ranges: [], flat: [] };

export class ParentPages implements Disposable {
  readonly #images: ImageReader;
  readonly #known = new Map<number, OlderPages>();

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
  of(pid: number): OlderPages {
    const known = this.#known.get(pid);
    if (known) return known;
    const image = IMAGES.pagemap(pid);
    const pages = this.#images.has(image) ? olderPages(this.#images, image) : NOTHING;
    this.#known.set(pid, pages);
    return pages;
  }
}

function olderPages(images: ImageReader, image: ReturnType<typeof IMAGES.pagemap>): OlderPages {
  const ranges = readPagemap(images, image).runs;
  return { ranges, flat: ranges.flatMap(({ start, end }) => [Number(start), Number(end)]) };
}
