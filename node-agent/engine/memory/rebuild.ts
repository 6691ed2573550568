// The address space of one process, rebuilt inside a half-built one: the story, in the order that works (engine.md D4 to D6).
import { SYS } from '../arch/x86-64.ts';
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { type Mapping, readMaps } from '../linux/procfs/maps.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { SavedProcess } from '../state/records.ts';
import {
  Resident,
  RESTORE_LEADER,
  residentBytes,
  type ResidentPlan,
  SMALL_SLOT,
} from '../tracee/resident.ts';
import { complement, findHole, sizeOf, type Span } from './address-space.ts';
import { MADV } from './area.ts';
import { executeFile, UNFINISHED_NAME } from './executable.ts';
import { fillPages } from './fill.ts';
import { comparePages, inheritedAreas, type PageSet } from './inheritance.ts';
import { queueFinish, queueMappings, runsToFill } from './map-areas.ts';
import { setMmFields } from './mm-fields.ts';
import { savedSpans } from './saved-areas.ts';
import { readPagemap } from './saved-pages.ts';
import type { MappedObjects, SharedMemoryRestore } from './shared-memory-restore.ts';
import { findVdso, homeMoves, parkingMoves, queueMoves, type Vdso, vdsoBytes } from './vdso.ts';

const PR_SET_NAME = 15;

/** What the register of saved files does for mappings. */
export interface MappedPaths {
  /** Path of a saved file in the target, one Latin-1 character a byte; undefined for what has none. */
  path(fileId: number): string | undefined;
  readonly sharedMemory: SharedMemoryRestore;
}

export interface RebuildContext {
  readonly images: ImageReader;
  readonly files: MappedPaths;
  /** told after every step, bytes of that step */
  readonly progress: (bytes: number) => void;
  /** the parent, if the process was forked when that had its memory already ({@link inheritsMemory}) */
  readonly bornFrom?: SavedProcess;
}

/**
 * Gives a stopped process with one thread the saved executable, mappings, pages and address fields. Afterwards the
 * interpreter lies where neither the old nor the saved address space had anything, with slots for all saved threads.
 *
 * @throws LinuxError, TraceeError: the process is then of no use and must be ended
 */
export function rebuildMemory(builder: ProcessBuilder, context: RebuildContext): void {
  const { saved, process } = builder;
  const mm = memoryOf(saved);
  const exePath = context.files.path(mm.exeFileId);
  if (exePath === undefined) throw new Error(`the program of process ${saved.pid} has no path`);
  const parent = context.bornFrom;
  const failed = parent ? undefined : executeFile(process, exePath);
  const inherited = parent ? inheritedAreas(memoryOf(parent), mm) : [];
  moveIn(builder, inherited);
  const own = pageSet(context.images, saved);
  const difference = parent
    ? comparePages(context.images, pageSet(context.images, parent), own, inherited)
    : { toWrite: own.runs, toDrop: [] };
  const areas = { mm, runs: difference.toWrite, kept: new Set(inherited) };
  using objects = context.files.sharedMemory.hand(builder, mm);
  queueMappings(builder, areas, sourcesOf(context, objects));
  drop(builder, difference.toDrop);
  objects.fill(context.progress);
  const source = { images: context.images, pages: own.pages };
  fillPages(process.pid, source, difference.toWrite, context.progress);
  context.progress(bytesOf(own.runs) - bytesOf(difference.toWrite));
  queueFinish(builder, areas);
  setMmFields(builder, mm, failed === undefined ? undefined : exePath);
}

const bytesOf = (spans: readonly Span[]): number =>
  Number(spans.reduce((sum, span) => sum + sizeOf(span), 0n));

function memoryOf({ pid, mm }: SavedProcess): MmEntry {
  if (!mm) throw new Error(`process ${pid} has no memory in its image`);
  return mm;
}

function pageSet(images: ImageReader, saved: SavedProcess): PageSet {
  const pages = readPagemap(images, IMAGES.pagemap(saved.pid));
  return { pages, runs: runsToFill(pages.runs, memoryOf(saved)) };
}

/** Pages that the parent has and the child had not. */
function drop(builder: ProcessBuilder, spans: readonly Span[]): void {
  for (const span of spans) {
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.madvise, span.start, sizeOf(span), MADV.DONTNEED);
  }
  builder.flush();
}

function sourcesOf({ files }: RebuildContext, objects: MappedObjects) {
  return {
    path: (fileId: number) => files.path(fileId),
    sharedMemory: (area: VmaEntry) => objects.descriptor(area),
  };
}

/**
 * Brings the interpreter to a place that stays free, empties the rest and sends the vDSO home.
 *
 * @param kept what is not emptied
 */
function moveIn(builder: ProcessBuilder, kept: readonly Span[]): void {
  const { process, saved } = builder;
  const mm = memoryOf(saved);
  const mappings = readMaps(process.pid).filter((m) => m.name !== '[vsyscall]');
  const plan = { leader: RESTORE_LEADER, thread: SMALL_SLOT, threads: saved.threads.length - 1 };
  const vdso = findVdso(mappings);
  const layout = planLayout(mappings, mm, plan, vdso);
  Resident.map(process, plan, layout.resident.start);
  const { batch } = builder;
  // At every instant until the release a probe must see that this is not the application yet
  batch.must(SYS.prctl, PR_SET_NAME, batch.text(UNFINISHED_NAME), 0, 0, 0);
  const parked = vdso ? parkingMoves(vdso, layout.parking.start) : [];
  queueMoves(parked, batch);
  for (const span of complement([layout.resident, layout.parking, ...kept])) {
    builder.makeRoom(1, 0);
    batch.must(SYS.munmap, span.start, sizeOf(span));
  }
  builder.makeRoom(parked.length, 0);
  queueMoves(homeMoves(parked, mm), batch);
  builder.flush();
  process.bootstrapAddress = undefined;
}

/** @throws Error when no place is free both now and later */
function planLayout(
  now: readonly Mapping[],
  mm: MmEntry,
  plan: ResidentPlan,
  vdso: Vdso | undefined,
): { readonly resident: Span; readonly parking: Span } {
  const occupied: Span[] = [...now, ...savedSpans(mm)];
  const resident = holeOf(occupied, BigInt(residentBytes(plan)));
  const parking = holeOf([...occupied, resident], vdso ? vdsoBytes(vdso) : 0n);
  return { resident, parking };
}

function holeOf(occupied: readonly Span[], bytes: bigint): Span {
  const start = findHole(occupied, bytes);
  return { start, end: start + bytes };
}
