// Pages that a process was born with: those with other bytes in its image are written, those that it had not are dropped.
import { sizeOf, type Span, subtract } from './address-space.ts';
import type { PageSet } from './page-set.ts';
import { clipRuns, PAGE, type PageBatch, PagesReader, type SavedRun } from './saved-pages.ts';

const PAGE_BYTES = Number(PAGE);

/** Pages to be written: where they go, and where they lie in memory of this process. */
export interface PlacedPages extends Span {
  readonly from: bigint;
}

/**
 * Compares the images of a process and its parent, not their memory: to look at a shared page pins it, which gives the
 * process a copy of its own.
 */
export class InheritedPages implements Disposable {
  /** of the parent, ascending */
  readonly #runs: readonly SavedRun[];
  readonly #reader = new PagesReader();
  #next = 0;

  /** @param kept private areas that the process was born with, ascending */
  constructor(parent: PageSet, kept: readonly Span[]) {
    this.#runs = clipRuns(parent.runs, kept);
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }

  /** Pages that the process was born with and had not, as its own runs show. */
  surplus(own: readonly Span[]): Span[] {
    return subtract(this.#runs, own);
  }

  /** What must be written of a batch. Batches come in ascending order, each once. */
  changed({ address, content, pieces }: PageBatch): PlacedPages[] {
    const changed: PlacedPages[] = [];
    let offset = 0;
    for (const piece of pieces) {
      const at = (position: bigint): number => offset + Number(position - piece.start);
      const add = (start: bigint, end: bigint): void => {
        if (start < end) append(changed, { start, end, from: address + BigInt(at(start)) });
      };
      let done = piece.start;
      for (const theirs of this.#within(piece)) {
        add(done, theirs.start);
        const own = content.subarray(at(theirs.start), at(theirs.end));
        const parents = this.#reader.read(theirs.source, theirs.offset, own.length);
        for (const span of differences(own, parents)) {
          add(theirs.start + BigInt(span.start), theirs.start + BigInt(span.end));
        }
        done = theirs.end;
      }
      add(done, piece.end);
      offset += Number(sizeOf(piece));
    }
    return changed;
  }

  /** The parent's pages in a span; spans must ascend. */
  #within(span: Span): SavedRun[] {
    const runs = this.#runs;
    while (this.#next < runs.length && runs[this.#next]!.end <= span.start) this.#next++;
    let last = this.#next;
    while (last < runs.length && runs[last]!.start < span.end) last++;
    return clipRuns(runs.slice(this.#next, last), [span]);
  }
}

function append(list: PlacedPages[], next: PlacedPages): void {
  const last = list.at(-1);
  if (last?.end === next.start && last.from + sizeOf(last) === next.from) {
    list[list.length - 1] = { ...last, end: next.end };
  } else {
    list.push(next);
  }
}

/** Runs of pages in which two contents of the same length differ, in bytes from their start; by halves. */
export function* differences(
  a: Buffer,
  b: Buffer,
  start = 0,
  end = a.length,
): Generator<{ readonly start: number; readonly end: number }> {
  if (a.compare(b, start, end, start, end) === 0) return;
  if (end - start <= PAGE_BYTES) {
    yield { start, end };
    return;
  }
  const middle = start + Math.ceil((end - start) / PAGE_BYTES / 2) * PAGE_BYTES;
  yield* differences(a, b, start, middle);
  yield* differences(a, b, middle, end);
}
