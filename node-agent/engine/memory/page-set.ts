// The private pages of a saved process: what its own image must fill, and what its children may have in common with it.
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import type { SavedProcess } from '../state/records.ts';
import { isPrivate, mappedAreas } from './saved-areas.ts';
import { clipRuns, readPagemap, type SavedRun } from './saved-pages.ts';

export interface PageSet {
  readonly all: readonly SavedRun[];
  /** ascending; without the vDSO and whatever else is not filled from the image */
  readonly runs: readonly SavedRun[];
}

/** A process that is at work, and its parent. */
const KEPT = 2;

/** Reads pagemaps; those of the last two processes are kept, so that siblings do not read their parent's again. */
export class PageSets {
  readonly #images: ImageReader;
  /** least recently used first */
  readonly #known = new Map<number, PageSet>();

  constructor(images: ImageReader) {
    this.#images = images;
  }

  /** @throws ImageError */
  of(saved: SavedProcess): PageSet {
    const set = this.#known.get(saved.pid) ?? this.#read(saved);
    this.#known.delete(saved.pid);
    this.#known.set(saved.pid, set);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
    return set;
  }

  #read(saved: SavedProcess): PageSet {
    const { runs } = readPagemap(this.#images, IMAGES.pagemap(saved.pid));
    const filled = mappedAreas(memoryOf(saved)).filter(isPrivate);
    return { all: runs, runs: clipRuns(runs, filled) };
  }
}

/** @throws Error for a zombie */
export function memoryOf({ pid, mm }: SavedProcess): MmEntry {
  if (!mm) throw new Error(`process ${pid} has no memory in its image`);
  return mm;
}
