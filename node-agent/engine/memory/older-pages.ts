// Pages that need not be saved: an older directory of the chain has them, and they have not been written to since. Pure.
import type { PageRange } from '../linux/procfs/pagemap.ts';
import type { PageRun } from './page-choice.ts';

/** A run of pages, and where they are. */
export interface PlacedRun extends PageRun {
  /** in an older directory of an incremental chain */
  readonly inParent: boolean;
}

/**
 * Splits runs by what an older dump holds.
 *
 * @param runs ascending, as everything that follows
 * @param clean not written to since the older dump
 * @param older what the older dump has: a page that it lacks is saved, whatever the kernel says
 */
export function splitByParent(
  runs: readonly PageRun[],
  clean: readonly PageRange[],
  older: readonly PageRange[],
): PlacedRun[] {
  const kept = intersect(clean, older);
  const placed: PlacedRun[] = [];
  let first = 0;
  for (const run of runs) {
    const add = (start: bigint, end: bigint, inParent: boolean): void => {
      if (start < end) placed.push({ ...run, start, end, inParent });
    };
    while (first < kept.length && kept[first]!.end <= run.start) first++;
    let done = run.start;
    for (let i = first; i < kept.length && kept[i]!.start < run.end; i++) {
      const start = later(kept[i]!.start, run.start);
      const end = earlier(kept[i]!.end, run.end);
      add(done, start, false);
      add(start, end, true);
      done = end;
    }
    add(done, run.end, false);
  }
  return placed;
}

/** Neighbouring runs of one kind as one: what a pagemap shows. */
export function mergeRuns(runs: readonly PlacedRun[]): PlacedRun[] {
  const merged: PlacedRun[] = [];
  for (const next of runs) {
    const last = merged.at(-1);
    if (last?.end === next.start && last.lazy === next.lazy && last.inParent === next.inParent) {
      merged[merged.length - 1] = { ...last, end: next.end };
    } else {
      merged.push(next);
    }
  }
  return merged;
}

/** What two lists of ascending ranges have in common. */
export function intersect(a: readonly PageRange[], b: readonly PageRange[]): PageRange[] {
  const common: PageRange[] = [];
  for (let i = 0, k = 0; i < a.length && k < b.length; ) {
    const start = later(a[i]!.start, b[k]!.start);
    const end = earlier(a[i]!.end, b[k]!.end);
    if (start < end) common.push({ start, end });
    if (a[i]!.end < b[k]!.end) i++;
    else k++;
  }
  return common;
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const earlier = (a: bigint, b: bigint): bigint => (a < b ? a : b);
