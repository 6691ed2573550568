// The pages of a running process into images: whatever it writes to meanwhile is copied again, so only what it has not written to
// counts. Nobody stops it, and nobody is attached to it.
import { closeSync, openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import type { ImageWriter } from '../image/writer.ts';
import { allocate, release, syscall } from '../linux/ffi.ts';
import { PageScan, type PageScanRequest, SCAN } from '../linux/procfs/page-scan.ts';
import { Pagemap, type PageRange } from '../linux/procfs/pagemap.ts';
import { subtract } from './address-space.ts';
import type { Area } from './area.ts';
import type { PlacedRun } from './older-pages.ts';
import { isSaved, runOf } from './page-choice.ts';
import { bytesIn, type FlatRuns } from './page-copies.ts';
import { planPages } from './page-plan.ts';
import { PagesFile, type PagesIds } from './pages-file.ts';
import { stepsOf } from './process-watch.ts';
import { writePagemap } from './save-pages.ts';
import { cut, emptiedRuns, type ScannedAreas, writtenRuns } from './scanned-pages.ts';

const PAGE = 4096;
const STEP_BYTES = 4 << 20;

export interface RunningProcess {
  readonly pid: number;
  readonly nsPid: number;
  readonly areas: readonly Area[];
}

export interface RunningPagesSink {
  readonly images: ImageWriter;
  readonly pagesIds: PagesIds;
  /** what it throws ends the copying */
  progress(doneBytes: number, totalBytes: number): void;
}

export interface RunningPages {
  /** of this round */
  readonly bytes: number;
  /** all that these images and older ones hold of what has not been written to since, ascending */
  readonly saved: readonly PlacedRun[];
  /** addresses of pages that were there, and could not be read any more when their turn came */
  readonly skipped: readonly number[];
}

/** Through /proc/PID/mem, which makes no copies of pages that the process shares with a relative. */
export function saveRunningPages(process: RunningProcess, sink: RunningPagesSink): RunningPages {
  const { runs } = planPages(process.pid, process.areas);
  return saveRuns(process, runs, [], sink);
}

/**
 * The same once more for what was written to since: it becomes the younger images of a chain.
 *
 * @param before what the older ones have
 */
export function saveChangedPages(
  process: RunningProcess,
  before: RunningPages,
  sink: RunningPagesSink,
): RunningPages {
  const { pid, areas } = process;
  const saved = areas.filter(isSaved);
  const { written, emptied } = writtenNow(pid, saved);
  const all = saved.map((area) => ({
    ...runOf(area.mapping.start, area.mapping.end, area),
    inParent: false,
  }));
  const kept = subtract(subtract(before.saved, written), emptied);
  return saveRuns(process, cut(all, written), inOlder(cut(before.saved, kept)), sink);
}

/** Younger images without pages of their own. */
export function saveNoPages(
  process: RunningProcess,
  { saved }: RunningPages,
  sink: RunningPagesSink,
): RunningPages {
  return saveRuns(process, [], inOlder(saved), sink);
}

const inOlder = (runs: readonly PlacedRun[]): PlacedRun[] =>
  runs.map((run) => ({ ...run, inParent: true }));

/** Bytes that were written to since the last round. */
export function writtenBytes({ pid, areas }: RunningProcess): number {
  using scan = new PageScan();
  return bytesIn(writtenRuns(look(pid, areas.filter(isSaved), scan, SCAN.written)));
}

/** From here on it counts as not written to. */
function writtenNow(
  pid: number,
  areas: readonly Area[],
): { readonly written: PageRange[]; readonly emptied: PageRange[] } {
  using scan = new PageScan();
  const seen = look(pid, areas, scan, SCAN.writtenAndProtect);
  return { written: rangesIn(writtenRuns(seen)), emptied: rangesIn(emptiedRuns(seen)) };
}

function look(
  pid: number,
  areas: readonly Area[],
  scan: PageScan,
  request: PageScanRequest,
): ScannedAreas {
  using table = new Pagemap(pid);
  const spans = areas.flatMap(({ kind, mapping }) => {
    const mayHoldFiles = kind !== 'anonymous';
    return stepsOf([mapping]).map((step) => ({ ...step, mayHoldFiles }));
  });
  scan.take(table, spans, request);
  return { areas, scan };
}

function rangesIn(flat: FlatRuns): PageRange[] {
  const ranges: PageRange[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    ranges.push({ start: BigInt(flat[i]!), end: BigInt(flat[i + 1]!) });
  }
  return ranges;
}

function saveRuns(
  { pid, nsPid }: RunningProcess,
  runs: readonly PlacedRun[],
  older: readonly PlacedRun[],
  sink: RunningPagesSink,
): RunningPages {
  const bytes = runs.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  const file = PagesFile.create(sink.images, sink.pagesIds, bytes);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const reader = new RunningReader(memory, file, () => sink.progress(file.bytes, bytes));
  try {
    for (const run of runs) reader.save(run);
    reader.flush();
  } finally {
    reader[Symbol.dispose]();
    closeSync(memory);
  }
  file.finish();
  const all = [...older, ...reader.saved].sort((a, b) => (a.start < b.start ? -1 : 1));
  writePagemap(nsPid, all, file, sink.images);
  return { bytes: file.bytes, saved: all, skipped: reader.skipped };
}

/** Gathers pages into large writes. */
class RunningReader implements Disposable {
  readonly saved: PlacedRun[] = [];
  readonly skipped: number[] = [];
  readonly #memory: number;
  readonly #file: PagesFile;
  readonly #written: () => void;
  readonly #buffer = allocate(STEP_BYTES);
  #filled = 0;

  constructor(memory: number, file: PagesFile, written: () => void) {
    this.#memory = memory;
    this.#file = file;
    this.#written = written;
  }

  [Symbol.dispose](): void {
    release(this.#buffer);
  }

  save(run: PlacedRun): void {
    const end = Number(run.end);
    for (let at = Number(run.start); at < end; ) {
      const to = this.#buffer.address + BigInt(this.#filled);
      const wanted = Math.min(STEP_BYTES - this.#filled, end - at);
      const got = syscall(SYS.pread64, this.#memory, to, wanted, at);
      const whole = got - (got % PAGE);
      if (whole <= 0) {
        this.skipped.push(at);
        at += PAGE;
        continue;
      }
      this.saved.push({ ...run, start: BigInt(at), end: BigInt(at + whole) });
      at += whole;
      this.#filled += whole;
      if (this.#filled === STEP_BYTES) this.flush();
    }
  }

  flush(): void {
    if (this.#filled > 0) this.#file.append(this.#buffer.address, this.#filled);
    this.#filled = 0;
    this.#written();
  }
}
