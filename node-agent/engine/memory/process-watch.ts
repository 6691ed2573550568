// One watched process in one dump: what has changed since the older images, and the copies of it.
import { Pagemap, type PageRange } from '../linux/procfs/pagemap.ts';
import {
  PageScan,
  type PageScanRequest,
  SCAN,
  type ScannedSpan,
} from '../linux/procfs/page-scan.ts';
import type { Area } from './area.ts';
import { isSaved } from './page-choice.ts';
import {
  bytesIn,
  type CopyRoom,
  type FlatRuns,
  isCopyShorter,
  PageCopies,
  runsIn,
} from './page-copies.ts';
import type { PagePlan } from './page-plan.ts';
import type { OlderPages } from './parent-pages.ts';
import {
  emptiedRuns,
  missingRuns,
  pagesOf,
  planScanned,
  type ScannedAreas,
  type ScannedPages,
  suspectsOf,
  writtenRuns,
} from './scanned-pages.ts';
import type { WriteTracker } from './write-tracker.ts';

const PAGE = 4096;
/** Looked at in one call while the process runs: it takes 2 ms, in which the process waits if it wants to map memory. */
const RUNNING_STEP_BYTES = 256n << 20n;

const FEW_RUNS = 500;
/** Of an area that is worth a call of its own. */
const LARGE_BYTES = 16n << 20n;

export class ProcessWatch implements Disposable {
  readonly tracker: WriteTracker;
  readonly copies: PageCopies;
  readonly #room: CopyRoom;
  readonly #scan = new PageScan();
  #marked: ScannedPages | undefined;
  /** as the last look before the freeze saw it: where that is too much for a copy, the freeze need not count it again */
  #lastWritten: FlatRuns = [];

  constructor(tracker: WriteTracker, room: CopyRoom) {
    this.tracker = tracker;
    this.copies = new PageCopies(tracker.pid, room);
    this.#room = room;
  }

  /** The tracker ends with its owner. */
  [Symbol.dispose](): void {
    this.#scan[Symbol.dispose]();
  }

  /** Bytes that were written to since the last round, while it runs. */
  writtenBytes(areas: readonly Area[]): number {
    this.#lastWritten = writtenRuns(this.#look(areas, SCAN.written));
    return bytesIn(this.#lastWritten);
  }

  /**
   * One round of copying while it runs; what is written to from here on is for the next one.
   *
   * @param between called after each run
   * @returns bytes that had been written to
   */
  copyWritten(areas: readonly Area[], between: () => void): number {
    const seen = this.#look(areas, SCAN.writtenAndProtect);
    const written = writtenRuns(seen);
    this.copies.drop(emptiedRuns(seen));
    this.copies.copy(written, { running: true, between });
    return bytesIn(written);
  }

  /** In the freeze, once: notes what has changed. With `again` the watch begins anew for the next dump. */
  mark(areas: readonly Area[], again: boolean): void {
    using table = new Pagemap(this.tracker.pid);
    this.#scan.take(table, spansOf(areas), SCAN.notAsBefore);
    const scanned = { areas, scan: this.#scan };
    if (again) protectAgain(table, scanned);
    const marks = table.marksAmong(suspectsOf(scanned));
    this.#marked = { ...scanned, marks: pagesOf(marks) };
  }

  /**
   * In the freeze: copies everything that neither older images nor earlier rounds have, if that is shorter than a snapshot.
   *
   * @returns false when nothing was copied
   */
  copyMissing({ flat }: OlderPages, anonymousBytes: number): boolean {
    if (!this.#marked || !this.#isCopyBetter(this.#lastWritten, anonymousBytes)) return false;
    const lost = [...this.copies.lost].flatMap((page) => [page, page + PAGE]);
    const missing = missingRuns(this.#marked, flat, (page) => this.copies.has(page));
    const all: FlatRuns = [...missing, ...lost];
    if (!this.#isCopyBetter(all, anonymousBytes)) return false;
    this.copies.copy(missing);
    // Some of them are not there any more.
    this.copies.copy(lost, { running: true });
    return true;
  }

  #isCopyBetter(runs: FlatRuns, anonymousBytes: number): boolean {
    return bytesIn(runs) <= this.#room.leftBytes && isCopyShorter(runs, anonymousBytes);
  }

  /** Written to after the last round, up to the freeze. */
  get dirtyBytes(): number {
    return this.#marked ? bytesIn(writtenRuns(this.#marked)) : 0;
  }

  /** Undefined before {@link mark}. The process may run. */
  plan({ ranges }: OlderPages): PagePlan | undefined {
    const { pages: changed, emptied } = this.copies;
    return this.#marked && planScanned(this.#marked, { older: ranges, changed, emptied });
  }

  #look(
    areas: readonly Area[],
    request: PageScanRequest,
  ): { areas: readonly Area[]; scan: PageScan } {
    using table = new Pagemap(this.tracker.pid);
    const spans = areas.filter(isSaved).flatMap(({ kind, mapping }) => {
      const mayHoldFiles = kind !== 'anonymous';
      return stepsOf([mapping]).map((step) => ({ ...step, mayHoldFiles }));
    });
    this.#scan.take(table, spans, request);
    return { areas, scan: this.#scan };
  }
}

/** From the first to the last area with pages of its own. */
export function spanOf(areas: readonly Area[]): PageRange | undefined {
  const saved = areas.filter(isSaved);
  const [first] = saved;
  const last = saved.at(-1);
  return first && last && { start: first.mapping.start, end: last.mapping.end };
}

/** A look at all of the memory for what has been written to costs more than a call for each of few runs. */
function protectAgain(table: Pagemap, scanned: ScannedAreas): void {
  const written = writtenRuns(scanned);
  if (runsIn(written) > FEW_RUNS) {
    const span = spanOf(scanned.areas);
    if (span) table.protect(span.start, span.end);
    return;
  }
  for (let i = 0; i < written.length; i += 2) {
    table.protect(BigInt(written[i]!), BigInt(written[i + 1]!));
  }
}

/** As few as there can be: large anonymous areas, in which no page can be of a file, and all that lies between them. */
export function spansOf(areas: readonly Area[]): ScannedSpan[] {
  const spans: ScannedSpan[] = [];
  for (const { kind, mapping } of areas.filter(isSaved)) {
    const { start, end } = mapping;
    const mayHoldFiles = kind !== 'anonymous' || end - start < LARGE_BYTES;
    const last = spans.at(-1);
    if (mayHoldFiles && last?.mayHoldFiles) spans[spans.length - 1] = { ...last, end };
    else spans.push({ start, end, mayHoldFiles });
  }
  return spans;
}

/** Pieces of memory that can be looked at while the process runs. */
export const stepsOf = (ranges: readonly PageRange[]): PageRange[] =>
  ranges.flatMap((range) => {
    const steps: PageRange[] = [];
    for (let { start } = range; start < range.end; start += RUNNING_STEP_BYTES) {
      const end = start + RUNNING_STEP_BYTES;
      steps.push({ start, end: end < range.end ? end : range.end });
    }
    return steps;
  });
