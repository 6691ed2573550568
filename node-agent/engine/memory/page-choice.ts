// Which pages of a process must be saved. Pure but for the pagemap that answers the questions.
import { PAGE_IS, type PageQuery, type PageRange } from '../linux/procfs/pagemap.ts';
import { subtract } from './address-space.ts';
import type { Area, AreaKind } from './area.ts';

/** A run of pages of one area. */
export interface PageRun {
  readonly start: bigint;
  readonly end: bigint;
  /** the process itself may read it and give it to a pipe: else it is copied through /proc/PID/mem */
  readonly giveable: boolean;
  /** CRIU's PE_LAZY: a restore may fetch it when it is first touched */
  readonly lazy: boolean;
}

export interface PageChoice {
  /** ascending */
  readonly runs: readonly PageRun[];
  /** pages that madvise(MADV_GUARD_INSTALL) took away, ascending */
  readonly guards: readonly PageRange[];
  readonly bytes: number;
}

/** Answers {@link PageQuery}: `Pagemap`, or a table in tests. */
export interface PageTable {
  ranges(start: bigint, end: bigint, query: PageQuery): PageRange[];
  /** pages that only seem to be there */
  markers(start: bigint, end: bigint): PageRange[];
}

const { PRESENT, SWAPPED, PFNZERO, FILE, GUARD } = PAGE_IS;

/** Everything that exists, except for the kernel's zero page; of a file only what was changed (no longer FILE). */
function wanted(kind: AreaKind, guard: bigint): PageQuery {
  const file = kind === 'anonymous' ? 0n : FILE;
  const without = PFNZERO | file | guard;
  return { inverted: without, mask: without, anyOf: PRESENT | SWAPPED };
}

/** The vDSO is code that the kernel gave, and CRIU looks for all pages of a ring. */
export const ALWAYS_WHOLE: ReadonlySet<AreaKind> = new Set(['vdso', 'aio-ring']);

/** Kinds with pages of their own. */
const OWN_PAGES: ReadonlySet<AreaKind> = new Set([
  'anonymous',
  'file-private',
  'shared-memory-private',
]);

/** Does a process hold pages of its own in areas of this kind? */
export const ownsPages = (kind: AreaKind): boolean => OWN_PAGES.has(kind);

/** Has it pages to be saved? MAP_DROPPABLE memory may vanish at any time, so nobody relies on what it holds. */
export const isSaved = ({ kind, mapping }: Area): boolean =>
  ownsPages(kind) && !mapping.flags.has('dp');

/**
 * @param guardsKnown does PAGEMAP_SCAN know guard pages (Linux 6.15)? Without, they look like swapped ones
 */
export function choosePages(
  table: PageTable,
  areas: readonly Area[],
  guardsKnown: boolean,
): PageChoice {
  const runs: PageRun[] = [];
  const guards: PageRange[] = [];
  for (const area of areas) {
    const { mapping, kind } = area;
    if (ALWAYS_WHOLE.has(kind)) runs.push(runOf(mapping.start, mapping.end, area));
    if (!isSaved(area)) continue;
    const query = wanted(kind, guardsKnown ? GUARD : 0n);
    const found = table.ranges(mapping.start, mapping.end, query);
    const nothing = table.markers(mapping.start, mapping.end);
    for (const { start, end } of subtract(found, nothing)) runs.push(runOf(start, end, area));
    if (guardsKnown) guards.push(...table.ranges(mapping.start, mapping.end, GUARDED));
  }
  const bytes = runs.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  return { runs, guards, bytes };
}

const GUARDED: PageQuery = { inverted: 0n, mask: GUARD, anyOf: GUARD };

/** A run of an area, and how it may be read. */
export function runOf(start: bigint, end: bigint, { mapping, kind }: Area): PageRun {
  const lazy = kind === 'anonymous' && !mapping.flags.has('lo');
  // The vDSO lies in the kernel's own image, and not every disk of a virtual machine can read from there (EIO).
  return { start, end, giveable: mapping.readable && kind !== 'vdso', lazy };
}
