// Which pages a process can do without until it touches them. Pure.
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { overlaps } from './address-space.ts';
import { MADV, MAP } from './area.ts';
import { isPrivate, kindOf, mappedAreas } from './saved-areas.ts';
import { bytesOf, clipRuns, type SavedRun } from './saved-pages.ts';

/** To read less takes no longer than to watch over it: stacks and small heaps are there at once. */
const LEAST_BYTES = 1 << 20;
/** Locked memory is there by definition; a stack grows at its start; huge and droppable pages come differently. */
const NEVER = MAP.LOCKED | MAP.GROWSDOWN | MAP.HUGETLB | MAP.DROPPABLE;
/** A child finds zeros there, which the server of the pages is not told. */
const EMPTY_FOR_CHILDREN = 1n << BigInt(MADV.WIPEONFORK);

/** An area whose pages may come later. */
export interface LazyArea {
  readonly area: VmaEntry;
  /** ascending */
  readonly runs: readonly SavedRun[];
}

/** @param runs of the whole process, ascending */
export function lazyAreas(mm: MmEntry, runs: readonly SavedRun[]): LazyArea[] {
  const guards = mm.vmas.filter((vma) => kindOf(vma) === 'guard');
  return runsByArea(mappedAreas(mm).filter(mayWait), runs)
    .filter((one) => bytesOf(one.runs) >= LEAST_BYTES)
    .filter(({ area }) => !guards.some((guard) => overlaps(guard, area)));
}

function mayWait(area: VmaEntry): boolean {
  const { flags, madv = 0n } = area;
  if (kindOf(area) !== 'anonymous' || !isPrivate(area)) return false;
  return (flags & NEVER) === 0 && (madv & EMPTY_FOR_CHILDREN) === 0n;
}

function runsByArea(areas: readonly VmaEntry[], runs: readonly SavedRun[]): LazyArea[] {
  const clipped = clipRuns(runs, areas);
  let next = 0;
  return areas.map((area) => {
    const first = next;
    while (next < clipped.length && clipped[next]!.start < area.end) next++;
    return { area, runs: clipped.slice(first, next) };
  });
}

/** What must be there before the process runs. */
export function runsOutside(
  mm: MmEntry,
  runs: readonly SavedRun[],
  lazy: readonly LazyArea[],
): readonly SavedRun[] {
  if (lazy.length === 0) return runs;
  const later = new Set(lazy.map(({ area }) => area));
  return clipRuns(
    runs,
    mappedAreas(mm).filter((area) => !later.has(area)),
  );
}
