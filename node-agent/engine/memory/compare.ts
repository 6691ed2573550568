// Rebuilt memory against the image it was made from: a sample of pages of each process, read back from the process itself
// before its threads start. The bundle's digests say that the image is right; this says that it arrived.
import { closeSync, openSync, readSync } from 'node:fs';
import type { PageSet } from './page-set.ts';
import { PAGE, PagesReader, type PagesSource, type SavedRun } from './saved-pages.ts';

/** Of one process, and of a whole tree: some ten microseconds each, while the application waits. */
const SAMPLED_PAGES = 64;
const SAMPLED_PAGES_OF_TREE = 2048;
/** Of one process in the largest tree. */
const LEAST_SAMPLED_PAGES = 8;

/** How many pages of each process are compared in a tree of so many. Pure. */
export const pagesToCompare = (processes: number): number =>
  Math.max(
    LEAST_SAMPLED_PAGES,
    Math.min(SAMPLED_PAGES, Math.floor(SAMPLED_PAGES_OF_TREE / processes)),
  );

export interface Comparison {
  readonly comparedPages: number;
  readonly savedPages: number;
}

/** What was built is not what was saved. */
export class MemoryDiffersError extends Error {
  readonly pid: number;
  readonly address: bigint;

  constructor(pid: number, address: bigint) {
    super(`process ${pid}: the page at 0x${address.toString(16)} differs from the one saved`);
    this.name = 'MemoryDiffersError';
    this.pid = pid;
    this.address = address;
  }
}

interface SampledPage {
  readonly address: bigint;
  readonly source: PagesSource;
  /** in its source */
  readonly offset: number;
}

/** Evenly over all pages, so that each large area is among them; ascending. Pure. */
export function samplePages(runs: readonly SavedRun[], limit = SAMPLED_PAGES): SampledPage[] {
  const total = pagesIn(runs);
  const count = Math.min(total, limit);
  const sampled: SampledPage[] = [];
  let run = 0;
  let before = 0;
  for (let i = 0; i < count; i++) {
    const wanted = Math.floor(((i + 0.5) * total) / count);
    while (wanted >= before + pagesIn(runs.slice(run, run + 1))) {
      before += pagesIn(runs.slice(run, run + 1));
      run++;
    }
    const bytes = (wanted - before) * Number(PAGE);
    const { start, source, offset } = runs[run]!;
    sampled.push({ address: start + BigInt(bytes), source, offset: offset + bytes });
  }
  return sampled;
}

/**
 * @param saved number of the process in its images, for the message
 * @param pid of the stopped process that was built from them
 * @throws MemoryDiffersError, ImageError
 */
export function compareSample(
  saved: number,
  pid: number,
  { runs }: Pick<PageSet, 'runs'>,
  limit = SAMPLED_PAGES,
): Comparison {
  const sampled = samplePages(runs, limit);
  const savedPages = pagesIn(runs);
  if (sampled.length === 0) return { comparedPages: 0, savedPages };
  using reader = new PagesReader();
  const found = Buffer.alloc(Number(PAGE));
  // process_vm_readv(2) pins what it reads, which gives every process that shares a page a copy of its own.
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const { address, source, offset } of sampled) {
      const expected = reader.read(source, offset, Number(PAGE));
      readSync(memory, found, 0, found.length, address);
      if (!found.equals(expected)) {
        throw new MemoryDiffersError(saved, address);
      }
    }
  } finally {
    closeSync(memory);
  }
  return { comparedPages: sampled.length, savedPages };
}

const pagesIn = (runs: readonly SavedRun[]): number =>
  runs.reduce((sum, { start, end }) => sum + Number((end - start) / PAGE), 0);
