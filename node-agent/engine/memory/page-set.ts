// The private pages of a saved process: what its own image must fill, and what its children may have in common with it.
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import type { SavedProcess } from '../state/records.ts';
import { isPrivate, mappedAreas } from './saved-areas.ts';
import { clipRuns, readPagemap, type SavedPages, type SavedRun } from './saved-pages.ts';

export interface PageSet {
  readonly all: readonly SavedRun[];
  /** ascending; without the vDSO and whatever else is not filled from the image */
  readonly runs: readonly SavedRun[];
}

/** Of all pagemaps that are kept: some 10 MiB. */
const KEPT_RUNS = 100_000;
/** A process that is at work, and its parent. */
const ALWAYS_KEPT = 2;

/** Reads pagemaps, each once, unless they are so large that only those of the last two processes are kept. */
export class PageSets {
  readonly #images: ImageReader;
  readonly #keptRuns: number;
  /** least recently used first */
  readonly #known = new Map<number, SavedPages>();
  #runs = 0;

  constructor(images: ImageReader, keptRuns = KEPT_RUNS) {
    this.#images = images;
    this.#keptRuns = keptRuns;
  }

  /** Everything in the pagemap of a process. @throws ImageError */
  pagesOf(pid: number): SavedPages {
    const known = this.#known.get(pid);
    const pages = known ?? readPagemap(this.#images, IMAGES.pagemap(pid));
    if (!known) this.#runs += pages.runs.length;
    this.#known.delete(pid);
    this.#known.set(pid, pages);
    this.#forgetOldest();
    return pages;
  }

  #forgetOldest(): void {
    for (const [pid, { runs }] of this.#known) {
      if (this.#runs <= this.#keptRuns || this.#known.size <= ALWAYS_KEPT) return;
      this.#known.delete(pid);
      this.#runs -= runs.length;
    }
  }

  /** @throws ImageError */
  of(saved: SavedProcess): PageSet {
    const { runs } = this.pagesOf(saved.pid);
    const filled = mappedAreas(memoryOf(saved)).filter(isPrivate);
    return { all: runs, runs: clipRuns(runs, filled) };
  }
}

/** @throws Error for a zombie */
export function memoryOf({ pid, mm }: SavedProcess): MmEntry {
  if (!mm) throw new Error(`process ${pid} has no memory in its image`);
  return mm;
}
