// The pages of a running process into images: whatever it writes to meanwhile is copied again, so only what it has not written to
// counts. Nobody stops it, and nobody is attached to it.
import { closeSync, openSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import type { ImageWriter } from '../image/writer.ts';
import { allocate, release, syscall } from '../linux/ffi.ts';
import type { Area } from './area.ts';
import type { PlacedRun } from './older-pages.ts';
import { planPages } from './page-plan.ts';
import { PagesFile, type PagesIds } from './pages-file.ts';
import { writePagemap } from './save-pages.ts';

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
  readonly bytes: number;
  /** addresses of pages that were there, and could not be read any more when their turn came */
  readonly skipped: readonly number[];
}

/** Through /proc/PID/mem, which makes no copies of pages that the process shares with a relative. */
export function saveRunningPages(process: RunningProcess, sink: RunningPagesSink): RunningPages {
  const { pid, nsPid, areas } = process;
  const { runs, bytes } = planPages(pid, areas);
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
  writePagemap(nsPid, reader.saved, file, sink.images);
  return { bytes: file.bytes, skipped: reader.skipped };
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
