// The address space of one process, rebuilt inside a half-built one: the story, in the order that works (engine.md D4 to D6).
import { SYS } from '../arch/x86-64.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { TraceeAddress } from '../linux/process-memory.ts';
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
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import { complement, findHole, overlaps, sizeOf, type Span } from './address-space.ts';
import { rebuildRings } from './aio-ring.ts';
import { MADV } from './area.ts';
import { attachSegments } from './attachments.ts';
import { executeFile, UNFINISHED_NAME } from './executable.ts';
import { fillPages } from './fill.ts';
import { type InheritedArea, inheritedAreas, type SameFile, surplusGuards } from './inheritance.ts';
import { InheritedPages } from './inherited-pages.ts';
import { queueFinish, queueMappings } from './map-areas.ts';
import { type DividedPages, divideLazily } from './missing-pages.ts';
import { setMmFields } from './mm-fields.ts';
import { memoryOf, type PageSet, type PageSets } from './page-set.ts';
import { isMuch, isWorthwhile, readIn } from './read-in.ts';
import { isPrivate, savedSpans } from './saved-areas.ts';
import { savedBytes, type SavedRun } from './saved-pages.ts';
import type { MappedObjects, SharedMemoryRestore } from './shared-memory-restore.ts';
import {
  findVdso,
  homeMoves,
  type Move,
  parkingMoves,
  queueMoves,
  type Vdso,
  vdsoBytes,
} from './vdso.ts';

const PR_SET_NAME = 15;

/** What the register of saved files does for mappings. */
export interface MappedPaths {
  /** Path of a saved file in the target, one Latin-1 character a byte; undefined for what has none. */
  path(fileId: number): string | undefined;
  readonly sharedMemory: SharedMemoryRestore;
}

export interface RebuildContext {
  readonly files: MappedPaths;
  readonly pages: PageSets;
  /** told after every step, bytes of that step */
  readonly progress: (bytes: number) => void;
  /** bears threads that read pages together with the leader */
  readonly helpers: (process: TracedProcess) => Helpers;
  /** how many of them at most: room is made for them */
  readonly mostHelpers: number;
  /** may the process run before all of its pages are there? */
  readonly lazy: boolean;
}

interface Helpers {
  readonly threads: readonly TracedThread[];
  /** nothing may be left of them when the process gets its own threads */
  end(): void;
}

/**
 * Gives a stopped process with one thread the saved executable, mappings, pages and address fields. Afterwards the
 * interpreter lies where neither the old nor the saved address space had anything, with slots for all saved threads.
 *
 * @param parent whose rebuilt memory the process was forked with; undefined: it is built from nothing
 * @returns what of its pages is there now, and what will have to come
 * @throws LinuxError, TraceeError: the process is then of no use and must be ended
 */
export function rebuildMemory(
  builder: ProcessBuilder,
  context: RebuildContext,
  parent?: SavedProcess,
): DividedPages {
  const { files, progress } = context;
  const { saved, process } = builder;
  const mm = memoryOf(saved);
  const exePath = files.path(mm.exeFileId);
  if (exePath === undefined) throw new Error(`the program of process ${saved.pid} has no path`);
  const failed = parent ? undefined : executeFile(process, exePath);
  const inherited = inheritedBy(saved, parent, files);
  const kept = [...inherited.values()].map((area) => area.kept);
  moveIn(builder, kept, context.mostHelpers);
  const own = context.pages.of(saved);
  const areas = { mm, runs: own.runs, inherited };
  const missing = mm.vmas.filter((area) => !inherited.has(area));
  attachSegments(builder, areas);
  using objects = files.sharedMemory.hand(builder, { ...mm, vmas: missing });
  queueMappings(builder, areas, sourcesOf(context, objects));
  objects.fill(progress);
  using born = parent && pagesBornWith(context.pages.of(parent), inherited);
  if (born) queueAdvice(builder, born.surplus(own.runs), MADV.DONTNEED);
  if (parent) queueAdvice(builder, surplusGuards(memoryOf(parent), mm, kept), MADV.GUARD_REMOVE);
  builder.flush();
  const pages = context.lazy ? divideLazily(builder, own.runs) : atOnce(own.runs);
  if (!born && isWorthwhile(pages.now)) {
    readPages(builder, pages.now, context);
  } else {
    fillPages(process.pid, pages.now, progress, born);
  }
  const tellLosses = queueFinish(builder, areas);
  rebuildRings(builder, mm, (area) => savedBytes(area, own.all));
  setMmFields(builder, mm, failed === undefined ? undefined : exePath);
  tellLosses();
  return pages;
}

const atOnce = (runs: readonly SavedRun[]): DividedPages => ({ now: runs, later: undefined });

function readPages(
  builder: ProcessBuilder,
  runs: readonly SavedRun[],
  { helpers, progress }: RebuildContext,
): void {
  if (!isMuch(runs)) return readIn(builder, runs, [], progress);
  const helping = helpers(builder.process);
  readIn(builder, runs, helping.threads, progress);
  helping.end();
}

/** Do two saved files have one path? They are opened by it. */
export function sameFileAs(files: Pick<MappedPaths, 'path'>): SameFile {
  return (a, b) => {
    const path = a === b ? undefined : files.path(a);
    return a === b || (path !== undefined && path === files.path(b));
  };
}

function inheritedBy(
  saved: SavedProcess,
  parent: SavedProcess | undefined,
  files: MappedPaths,
): Map<VmaEntry, InheritedArea> {
  if (!parent) return new Map();
  return inheritedAreas(memoryOf(parent), memoryOf(saved), sameFileAs(files));
}

function pagesBornWith(
  parent: PageSet,
  inherited: ReadonlyMap<VmaEntry, InheritedArea>,
): InheritedPages {
  const areas = [...inherited.values()].filter(({ area }) => isPrivate(area));
  return new InheritedPages(
    parent,
    areas.map(({ kept }) => kept),
  );
}

function queueAdvice(builder: ProcessBuilder, spans: readonly Span[], advice: number): void {
  for (const span of spans) {
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.madvise, span.start, sizeOf(span), advice);
  }
}

function sourcesOf({ files }: RebuildContext, objects: MappedObjects) {
  return {
    path: (fileId: number) => files.path(fileId),
    sharedMemory: (area: VmaEntry) => objects.descriptor(area),
  };
}

/**
 * Brings the interpreter to a place that stays free, unless it came along to one by a fork, empties the rest and sends the vDSO home.
 *
 * @param kept what is not emptied
 * @param helpers threads of ours that it may get before its own
 */
function moveIn(builder: ProcessBuilder, kept: readonly Span[], helpers: number): void {
  const { process, saved } = builder;
  const mm = memoryOf(saved);
  const mappings = readMaps(process.pid).filter((m) => m.name !== '[vsyscall]');
  const threads = Math.max(helpers, saved.threads.length - 1);
  const plan = { leader: RESTORE_LEADER, thread: SMALL_SLOT, threads };
  const vdso = findVdso(mappings);
  const inherited = process.resident && placeOf(process.resident);
  const stays =
    inherited !== undefined &&
    process.resident?.fits(plan) === true &&
    !savedSpans(mm).some((span) => overlaps(span, inherited));
  const layout = planLayout(mappings, mm, stays ? inherited : plan, vdso);
  if (!stays) Resident.map(process, plan, layout.resident.start);
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
  const home = homeMoves(parked, mm);
  queueMoves(home, batch);
  builder.flush();
  process.bootstrapAddress = instructionAt(home, process.bootstrapAddress, vdso);
}

/** Where an instruction of the vDSO has come to; to look for it takes a reading of all mappings. */
function instructionAt(
  home: readonly Move[],
  before: TraceeAddress | undefined,
  vdso: Vdso | undefined,
): TraceeAddress | undefined {
  const code = home.at(-1);
  if (!code || !vdso || before === undefined) return undefined;
  const offset = before - vdso.code.start;
  return offset >= 0n && offset < code.bytes ? code.to + offset : undefined;
}

const placeOf = ({ base, bytes }: Resident): Span => ({ start: base, end: base + BigInt(bytes) });

/**
 * @param interpreter where it stays, or what needs a place
 * @throws Error when no place is free both now and later
 */
function planLayout(
  now: readonly Mapping[],
  mm: MmEntry,
  interpreter: Span | ResidentPlan,
  vdso: Vdso | undefined,
): { readonly resident: Span; readonly parking: Span } {
  const occupied: Span[] = [...now, ...savedSpans(mm)];
  const resident =
    'start' in interpreter ? interpreter : holeOf(occupied, BigInt(residentBytes(interpreter)));
  const parking = holeOf([...occupied, resident], vdso ? vdsoBytes(vdso) : 0n);
  return { resident, parking };
}

function holeOf(occupied: readonly Span[], bytes: bigint): Span {
  const start = findHole(occupied, bytes);
  return { start, end: start + bytes };
}
