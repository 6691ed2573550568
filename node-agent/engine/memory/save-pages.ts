// The pages of one process into pagemap-PID.img and pages-N.img: out of its snapshot while it runs, or out of itself while it stands.
import { IMAGES } from '../image/image-files.ts';
import { PageFlag } from '../image/messages/enums.ts';
import type { ImageWriter } from '../image/writer.ts';
import { type Mapping, readSmaps } from '../linux/procfs/maps.ts';
import { readStat } from '../linux/procfs/status.ts';
import type { ProcessRecord } from '../state/records.ts';
import { TraceeError } from '../tracee/remote-run.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { type Area, describeMapping, guardEntry } from './area.ts';
import type { ProcessMemory } from './mappings.ts';
import { mergeRuns, type PlacedRun } from './older-pages.ts';
import { isSaved } from './page-choice.ts';
import { PageCopies } from './page-copies.ts';
import { type PagePlan, planPages } from './page-plan.ts';
import { PagePump } from './page-pump.ts';
import { PagesFile, type PagesIds } from './pages-file.ts';
import { watchRoom } from './snapshot-room.ts';
import type { Snapshot } from './snapshot.ts';

const PAGE = 4096n;

/** Where pages are written, and who wants to know. */
export interface PageSink {
  readonly images: ImageWriter;
  readonly pagesIds: PagesIds;
  /** absent when nobody knows what has changed: all pages are looked for */
  readonly plan?: PagePlan | undefined;
  /**
   * Told after every transfer; what it throws ends the saving.
   *
   * @param doneBytes of this process
   */
  progress(doneBytes: number, totalBytes: number): void;
}

/** The snapshot ended while its pages were read: the kernel killed it for its memory, or somebody else did. */
export class PagesLostError extends Error {
  readonly pid: number;
  constructor(pid: number, options: ErrorOptions) {
    super(`the snapshot ${pid} ended before its pages were saved`, options);
    this.name = 'PagesLostError';
    this.pid = pid;
  }
}

/** The snapshot does not hold what was collected: the application changed its advice to fork in between. Try again. */
export class StaleSnapshotError extends Error {
  readonly pid: number;
  readonly mapping: string;
  constructor(pid: number, mapping: Mapping) {
    super(`the snapshot of process ${pid} lacks ${describeMapping(mapping)}: take another one`);
    this.name = 'StaleSnapshotError';
    this.pid = pid;
    this.mapping = describeMapping(mapping);
  }
}

/** What the pages of a moment are read from once the process runs on. */
export type PageSource = Snapshot | PageCopies;

/**
 * Saves all pages of one process and completes the areas of its `mm` message with guard pages.
 *
 * @param source undefined to read the stopped process itself
 * @returns bytes of pages
 * @throws PagesLostError, StaleSnapshotError: the application is unharmed, and another try may succeed
 */
export function savePages(
  memory: ProcessMemory,
  record: ProcessRecord,
  source: PageSource | undefined,
  sink: PageSink,
): number {
  if (source instanceof PageCopies) return saveCopies(record, source, sink);
  return source
    ? saveSnapshot(memory, record, source, sink)
    : save(memory, memory.process, record, sink);
}

function saveCopies(record: ProcessRecord, copies: PageCopies, sink: PageSink): number {
  const { plan } = sink;
  if (!plan) throw new Error(`nothing says which pages of process ${record.pid} count`);
  return write(plan, record, sink, (file) => {
    copies.appendTo(file, plan.changed);
    sink.progress(file.bytes, plan.bytes);
  });
}

function saveSnapshot(
  memory: ProcessMemory,
  record: ProcessRecord,
  source: Snapshot,
  sink: PageSink,
): number {
  try {
    source.settle();
    demandComplete(memory, source.child);
    const checkRoom = watchRoom(memory);
    return save(memory, source.child, record, {
      ...sink,
      progress: (done, total) => {
        checkRoom(done);
        sink.progress(done, total);
      },
    });
  } catch (error) {
    if (tellsOfItsEnd(error, source.child.pid)) {
      throw new PagesLostError(source.child.pid, { cause: error });
    }
    throw error;
  }
}

function save(
  memory: ProcessMemory,
  process: TracedProcess,
  record: ProcessRecord,
  sink: PageSink,
): number {
  const plan = sink.plan ?? planPages(process.pid, memory.areas);
  return write(plan, record, sink, (file) => {
    using pump = new PagePump(process, () => sink.progress(file.bytes, plan.bytes));
    pump.save(plan.changed, file);
  });
}

function write(
  plan: PagePlan,
  record: ProcessRecord,
  sink: PageSink,
  fill: (file: PagesFile) => void,
): number {
  const file = PagesFile.create(sink.images, sink.pagesIds, plan.bytes);
  sink.progress(0, plan.bytes);
  fill(file);
  file.finish();
  writePagemap(record.pid, plan.runs, file, sink.images);
  const guards = plan.guards.map(({ start, end }) => guardEntry(start, end));
  record.mm.vmas = [...(record.mm.vmas ?? []), ...guards];
  return file.bytes;
}

/** Between its death and the zombie a process answers ESRCH. */
function tellsOfItsEnd(error: unknown, pid: number): boolean {
  const { code, errno } = error as { code?: unknown; errno?: unknown };
  if (error instanceof TraceeError || code === 'ESRCH' || errno === 'ESRCH') return true;
  try {
    return 'ZX'.includes(readStat(pid)(3));
  } catch {
    return true;
  }
}

/** Writes where the pages of a process are. */
export function writePagemap(
  pid: number,
  runs: readonly PlacedRun[],
  file: PagesFile,
  images: ImageWriter,
): void {
  const image = IMAGES.pagemap(pid);
  images.head(image, { pagesId: file.id });
  images.write(
    image,
    mergeRuns(runs).map(({ start, end, lazy, inParent }) => ({
      vaddr: start,
      compatNrPages: 0,
      flags: (inParent ? PageFlag.PARENT : PageFlag.PRESENT) | (lazy ? PageFlag.LAZY : 0),
      nrPages: (end - start) / PAGE,
    })),
  );
}

/** Looks into the child whether fork copied every area that is to be saved. */
function demandComplete({ process, areas }: ProcessMemory, child: TracedProcess): void {
  const missing = firstMissing(areas, readSmaps(child.pid));
  if (missing) throw new StaleSnapshotError(process.nsPid, missing);
}

/** First area with pages that the child lacks or has wiped. The kernel may have merged or split areas. */
export function firstMissing(
  areas: readonly Area[],
  found: readonly Mapping[],
): Mapping | undefined {
  let at = 0;
  for (const { mapping } of areas.filter(isSaved)) {
    let covered = mapping.start;
    while (covered < mapping.end) {
      while (at < found.length && found[at]!.end <= covered) at++;
      const next = found[at];
      if (!next || next.start > covered || next.flags.has('wf')) return mapping;
      covered = next.end;
    }
  }
  return undefined;
}
