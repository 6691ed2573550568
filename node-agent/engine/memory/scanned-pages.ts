// What a scan of a watched process means: which pages count, which are as an older dump has them. Pure but for the marks that
// the page table shows.
import type { PageRange } from '../linux/procfs/pagemap.ts';
import { RUN_IS, type RunVisitor } from '../linux/procfs/page-scan.ts';
import { subtract } from './address-space.ts';
import type { Area } from './area.ts';
import { splitByParent } from './older-pages.ts';
import { ALWAYS_WHOLE, isSaved, type PageRun, runOf } from './page-choice.ts';
import type { FlatRuns } from './page-copies.ts';
import type { PagePlan } from './page-plan.ts';

const PAGE = 4096;

/** Told of every run: {@link PageScan}, or a table in tests. */
export interface Scan {
  each(visit: RunVisitor): void;
}

/** What was seen of a process while it ran. */
export interface ScannedAreas {
  readonly areas: readonly Area[];
  readonly scan: Scan;
}

/** What was seen of a process that stood still. */
export interface ScannedPages extends ScannedAreas {
  /** pages that only seem to be there: marks of the page table */
  readonly marks: ReadonlySet<number>;
}

interface AreaSpan {
  readonly start: number;
  readonly end: number;
  readonly area: Area;
}

type AreaVisitor = (start: number, end: number, category: number, area: Area) => void;

/** Runs cut at the borders of areas with pages of their own; others are left out. */
function eachInAreas({ areas, scan }: ScannedAreas, visit: AreaVisitor): void {
  const spans: AreaSpan[] = areas.filter(isSaved).map((area) => ({
    start: Number(area.mapping.start),
    end: Number(area.mapping.end),
    area,
  }));
  let at = 0;
  scan.each((start, end, category) => {
    while (at < spans.length && spans[at]!.end <= start) at++;
    for (let i = at; i < spans.length && spans[i]!.start < end; i++) {
      const span = spans[i]!;
      visit(Math.max(start, span.start), Math.min(end, span.end), category, span.area);
    }
  });
}

const isThere = (category: number, { kind }: Area): boolean =>
  (category & (RUN_IS.PRESENT | RUN_IS.SWAPPED)) !== 0 &&
  (category & (RUN_IS.PFNZERO | RUN_IS.GUARD)) === 0 &&
  (kind === 'anonymous' || (category & RUN_IS.FILE) === 0);

const isClean = (category: number): boolean =>
  (category & (RUN_IS.WPALLOWED | RUN_IS.WRITTEN)) === RUN_IS.WPALLOWED;

/** Runs that may be marks of the page table only: to be looked at while the process stands still. */
export function suspectsOf(scanned: ScannedAreas): PageRange[] {
  const suspects: PageRange[] = [];
  eachInAreas(scanned, (start, end, category, area) => {
    if (!isClean(category) || !isThere(category, area) || category & RUN_IS.PRESENT) return;
    suspects.push({ start: BigInt(start), end: BigInt(end) });
  });
  return suspects;
}

/** Pages that were written to since the last scan that protected, or that nobody watched. */
export function writtenRuns(scanned: ScannedAreas): FlatRuns {
  const runs: number[] = [];
  eachInAreas(scanned, (start, end, category, area) => {
    if (isThere(category, area) && !isClean(category)) runs.push(start, end);
  });
  return runs;
}

/** Where something else came in the place of a page: zeros, or what a file holds. What older images have of it is not valid. */
export function emptiedRuns(scanned: ScannedAreas): FlatRuns {
  const runs: number[] = [];
  eachInAreas(scanned, (start, end, category, area) => {
    if (!isClean(category) && !isThere(category, area)) runs.push(start, end);
  });
  return runs;
}

/**
 * Everything that must still be copied: what is as it was before is in older images, or was copied.
 *
 * @param older what older images have, ascending
 * @param isCopied has the engine a copy of a page that has not been written to since?
 */
export function missingRuns(
  scanned: ScannedPages,
  older: FlatRuns,
  isCopied: (page: number) => boolean,
): FlatRuns {
  const runs: number[] = [];
  const isOlder = lookUp(older);
  for (const { kind, mapping } of scanned.areas) {
    if (ALWAYS_WHOLE.has(kind)) runs.push(Number(mapping.start), Number(mapping.end));
  }
  eachInAreas(scanned, (start, end, category, area) => {
    if (!isThere(category, area)) return;
    if (!isClean(category)) return void runs.push(start, end);
    // Pages that are swapped: they are told of as well.
    for (let page = start; page < end; page += PAGE) {
      if (isOlder(page) || isCopied(page) || scanned.marks.has(page)) continue;
      runs.push(page, page + PAGE);
    }
  });
  return runs;
}

/** Is a page in one of the runs? To be asked of ascending pages. */
function lookUp(flat: FlatRuns): (page: number) => boolean {
  let at = 0;
  return (page) => {
    while (at < flat.length && flat[at + 1]! <= page) at += 2;
    return at < flat.length && flat[at]! <= page;
  };
}

/** What else decides where a page is. */
export interface KnownPages {
  /** saved in older images, ascending */
  readonly older: readonly PageRange[];
  /** written to since those were made, whatever the scan says */
  readonly changed: Iterable<number>;
  /** zeros, or pages of files, since then: the scan says nothing of them either */
  readonly emptied: Iterable<number>;
}

/**
 * All pages of a process, and where they are. Of pages that are as they were the scan tells nothing: those that count are in
 * older images, or among the changed ones; the rest are pages of files, and zeros.
 */
export function planScanned(
  scanned: ScannedPages,
  { older, changed, emptied }: KnownPages,
): PagePlan {
  const told = whatWasTold(scanned);
  const copied = rangesOf(changed);
  const empty = rangesOf(emptied);
  const seemsThere = stillThere(scanned.areas, told.ranges);
  const still = empty.length > 0 ? cut(seemsThere, subtract(seemsThere, empty)) : seemsThere;
  const seen = splitByParent(
    withoutMarks(told.there, rangesOf(scanned.marks)),
    subtract(told.clean, copied),
    older,
  );
  const unseen = splitByParent(still, subtract(still, copied), older);
  const whole = scanned.areas
    .filter(({ kind }) => ALWAYS_WHOLE.has(kind))
    .map((area) => ({ ...runOf(area.mapping.start, area.mapping.end, area), inParent: false }));
  const runs = [
    ...whole,
    ...seen,
    ...unseen.filter(({ inParent }) => inParent),
    ...cut(
      unseen.filter(({ inParent }) => !inParent),
      copied,
    ),
  ].sort(byStart);
  const here = runs.filter(({ inParent }) => !inParent);
  const bytes = here.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  return { runs, changed: here, bytes, guards: told.guards };
}

function whatWasTold(scanned: ScannedPages) {
  const ranges: PageRange[] = [];
  const there: PageRun[] = [];
  const clean: PageRange[] = [];
  const guards: PageRange[] = [];
  eachInAreas(scanned, (start, end, category, area) => {
    const range = { start: BigInt(start), end: BigInt(end) };
    ranges.push(range);
    if (category & RUN_IS.GUARD) guards.push(range);
    if (!isThere(category, area)) return;
    there.push(runOf(range.start, range.end, area));
    if (isClean(category)) clean.push(range);
  });
  return { ranges, there, clean, guards };
}

function stillThere(areas: readonly Area[], told: readonly PageRange[]): PageRun[] {
  const saved = areas.filter(isSaved).map((area) => ({ area, ...rangeOf(area) }));
  return cut(saved, subtract(saved, told)).map(({ start, end, area }) => runOf(start, end, area));
}

const rangeOf = ({ mapping: { start, end } }: Area): PageRange => ({ start, end });

const byStart = (a: PageRange, b: PageRange): number => (a.start < b.start ? -1 : 1);

function withoutMarks(runs: readonly PageRun[], marks: readonly PageRange[]): readonly PageRun[] {
  if (marks.length === 0) return runs;
  return runs.flatMap((run) => subtract([run], marks).map((left) => ({ ...run, ...left })));
}

/** Parts of runs that lie in the spans; both ascend. */
export function cut<Run extends PageRange>(
  runs: readonly Run[],
  spans: readonly PageRange[],
): Run[] {
  const parts: Run[] = [];
  let first = 0;
  for (const run of runs) {
    while (first < spans.length && spans[first]!.end <= run.start) first++;
    for (let i = first; i < spans.length && spans[i]!.start < run.end; i++) {
      const span = spans[i]!;
      const start = run.start > span.start ? run.start : span.start;
      parts.push({ ...run, start, end: run.end < span.end ? run.end : span.end });
    }
  }
  return parts;
}

/** Pages of ranges. */
export function pagesOf(ranges: readonly PageRange[]): Set<number> {
  const pages = new Set<number>();
  for (const { start, end } of ranges) {
    for (let page = Number(start); page < Number(end); page += PAGE) pages.add(page);
  }
  return pages;
}

/** Pages as ascending ranges. */
function rangesOf(pages: Iterable<number>): PageRange[] {
  const sorted = Float64Array.from(pages).sort();
  const ranges: PageRange[] = [];
  for (let i = 0; i < sorted.length; ) {
    const start = sorted[i]!;
    let end = start + PAGE;
    for (i++; i < sorted.length && sorted[i] === end; i++) end += PAGE;
    ranges.push({ start: BigInt(start), end: BigInt(end) });
  }
  return ranges;
}
