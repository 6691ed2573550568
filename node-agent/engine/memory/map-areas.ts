// The areas of a saved process: mapped with room to be filled, then given their protection, locks and advice.
import { SYS } from '../arch/x86-64.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { errnoName } from '../linux/ffi.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { RemoteResult, RemoteWord } from '../tracee/remote-word.ts';
import { overlaps, sizeOf, type Span } from './address-space.ts';
import { MADV, MAP, PROT } from './area.ts';
import type { InheritedArea } from './inheritance.ts';
import {
  advicesOf,
  advisedAreas,
  isPrivate,
  kindOf,
  mapFlagsOf,
  mappedAreas,
  protectionToFill,
} from './saved-areas.ts';

const AT_FDCWD = -100;
const O_RDONLY = 0;
const O_RDWR = 2;
/** O_CLOEXEC, O_NOCTTY and O_NONBLOCK: a path that has become a FIFO or terminal must not hold the restore up */
const O_QUIETLY = 0x80000 | 0o400 | 0o4000;
const PATH_MAX = 4096;
const MLOCK_ONFAULT = 1;

/** The areas of a process, and what of them there is to do. */
export interface AreasToMap {
  readonly mm: MmEntry;
  /** pages to be written later, ascending */
  readonly runs: readonly Span[];
  /** areas that the process was born with */
  readonly inherited: ReadonlyMap<VmaEntry, InheritedArea>;
}

/** Where the content of mappings comes from. */
export interface MappingSources {
  /** one Latin-1 character a byte; undefined for what has no path */
  path(fileId: number): string | undefined;
  /** number, in the process, of a descriptor of shared memory */
  sharedMemory(area: VmaEntry): number;
}

/** Maps every area that is not there; those with pages to come are writable for now. */
export function queueMappings(
  builder: ProcessBuilder,
  { mm, runs, inherited }: AreasToMap,
  sources: MappingSources,
): void {
  const files = new OpenedFiles(builder, sources);
  const isFilled = filledBy(runs);
  for (const area of mappedAreas(mm)) {
    const { start, pgoff } = area;
    const prot = protectionToFill(area, isFilled(area));
    const kind = kindOf(area);
    const flags = mapFlagsOf(area);
    builder.makeRoom(2, PATH_MAX);
    const born = inherited.get(area);
    if (born) {
      queueAdjustment(builder, born, prot);
      continue;
    }
    if (kind === 'anonymous') {
      builder.batch.must(SYS.mmap, start, sizeOf(area), prot, flags | MAP.ANONYMOUS, -1, 0);
      continue;
    }
    const fd: RemoteWord = kind === 'file' ? files.open(area) : sources.sharedMemory(area);
    builder.batch.must(SYS.mmap, start, sizeOf(area), prot, flags & ~MAP.ANONYMOUS, fd, pgoff);
  }
  files.close();
}

/** Enlarged in place, so that it stays one mapping: what lies behind it was unmapped before. */
function queueAdjustment({ batch }: ProcessBuilder, born: InheritedArea, prot: number): void {
  const { area, kept } = born;
  if (prot !== born.prot) batch.must(SYS.mprotect, kept.start, sizeOf(kept), prot);
  if (kept.end < area.end) batch.must(SYS.mremap, kept.start, sizeOf(kept), sizeOf(area), 0);
}

/** Files that several mappings of one process share are opened once. */
class OpenedFiles {
  readonly #builder: ProcessBuilder;
  readonly #sources: MappingSources;
  readonly #open = new Map<string, RemoteResult>();

  constructor(builder: ProcessBuilder, sources: MappingSources) {
    this.#builder = builder;
    this.#sources = sources;
  }

  open(area: VmaEntry): RemoteResult {
    const id = Number(area.shmid);
    // A private mapping never writes to its file, and a running program cannot be opened for writing
    const flags = isPrivate(area) ? O_RDONLY : (area.fdflags ?? defaultFlags(area));
    const key = `${id} ${flags}`;
    const known = this.#open.get(key);
    if (known) return known;
    const path = this.#sources.path(id);
    if (path === undefined) throw new Error(`file ${id} is mapped but has no path`);
    const { batch } = this.#builder;
    const fd = batch.must(SYS.openat, AT_FDCWD, batch.text(path), flags | O_QUIETLY, 0);
    this.#open.set(key, fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#open.values()) {
      this.#builder.makeRoom(1, 0);
      this.#builder.batch.must(SYS.close, fd);
    }
  }
}

const defaultFlags = ({ prot }: VmaEntry): number => (prot & PROT.WRITE ? O_RDWR : O_RDONLY);

/** Do any runs touch an area? Both ascend, and areas must be asked in that order. */
function filledBy(runs: readonly Span[]): (area: Span) => boolean {
  let first = 0;
  return (area) => {
    while (first < runs.length && runs[first]!.end <= area.start) first++;
    const next = runs[first];
    return next !== undefined && overlaps(next, area);
  };
}

/**
 * Everything that would have been in the way of the pages: protection, guards, locks, advice.
 *
 * @returns tells what of it was not possible, when everything has run
 */
export function queueFinish(builder: ProcessBuilder, { mm, runs }: AreasToMap): () => void {
  const isFilled = filledBy(runs);
  const optional: Optional[] = [];
  const may = (object: Span, code: keyof typeof LOSSES, nr: number, ...args: RemoteWord[]) => {
    builder.makeRoom(1, 0);
    optional.push({ object, code, result: builder.batch.call(nr, ...args) });
  };
  for (const area of advisedAreas(mm)) {
    const { start, prot, flags } = area;
    const bytes = sizeOf(area);
    const onFault = area.lockedOnFault === true ? MLOCK_ONFAULT : 0;
    if (protectionToFill(area, isFilled(area)) !== prot) {
      builder.makeRoom(1, 0);
      builder.batch.must(SYS.mprotect, start, bytes, prot);
    }
    for (const advice of advicesOf(area)) {
      may(area, 'MemoryAdvice', SYS.madvise, start, bytes, advice);
    }
    if (flags & MAP.LOCKED && prot & PROT.READ) {
      may(area, 'MemoryLock', SYS.mlock2, start, bytes, onFault);
    } else if (flags & MAP.LOCKED) {
      // The lock is set, and the kernel complains that it cannot read the pages in
      builder.makeRoom(1, 0);
      builder.batch.call(SYS.mlock2, start, bytes, onFault);
    }
  }
  for (const area of mm.vmas.filter((vma) => kindOf(vma) === 'guard')) {
    may(area, 'MemoryGuard', SYS.madvise, area.start, sizeOf(area), MADV.GUARD_INSTALL);
  }
  return () => {
    for (const lost of optional) if (lost.result.value < 0n) reportLoss(builder, lost);
  };
}

interface Optional {
  readonly object: Span;
  readonly code: keyof typeof LOSSES;
  readonly result: RemoteResult;
}

const LOSSES = {
  MemoryAdvice: 'the kernel here does not know this advice of madvise(2); the content is complete',
  MemoryLock: 'raise RLIMIT_MEMLOCK of the target so that the memory can be locked again',
  MemoryGuard: 'guard pages need Linux 6.13 on the target; the pages there are ordinary ones now',
} as const;

function reportLoss(builder: ProcessBuilder, { object, code, result }: Optional): void {
  builder.report({
    code,
    severity: 'loss',
    pid: builder.saved.pid,
    object: `${object.start.toString(16)}-${object.end.toString(16)}: ${errnoName(Number(-result.value))}`,
    advice: LOSSES[code],
  });
}
