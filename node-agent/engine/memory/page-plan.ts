// Which pages of a process are saved, and which stay in an older dump: for one moment of one process.
import { PAGE_IS, Pagemap, type PageRange, scanKnows } from '../linux/procfs/pagemap.ts';
import type { Area } from './area.ts';
import { type PlacedRun, splitByParent } from './older-pages.ts';
import { choosePages } from './page-choice.ts';

/** Pages that an older dump has: those that are in both lists. */
export interface UnchangedPages {
  /** not written to since then, ascending */
  readonly clean: readonly PageRange[];
  /** saved there, ascending */
  readonly older: readonly PageRange[];
}

export interface PagePlan {
  /** all pages that count, ascending */
  readonly runs: readonly PlacedRun[];
  /** those of them that are to be saved */
  readonly changed: readonly PlacedRun[];
  /** of {@link changed} */
  readonly bytes: number;
  /** pages that madvise(MADV_GUARD_INSTALL) took away, ascending */
  readonly guards: readonly PageRange[];
}

/** @param pid of the stopped process or its snapshot */
export function planPages(
  pid: number,
  areas: readonly Area[],
  { clean, older }: UnchangedPages,
): PagePlan {
  using table = new Pagemap(pid);
  const { runs, guards } = choosePages(table, areas, scanKnows(PAGE_IS.GUARD));
  const placed = splitByParent(runs, clean, older);
  const changed = placed.filter(({ inParent }) => !inParent);
  const bytes = changed.reduce((sum, { start, end }) => sum + Number(end - start), 0);
  return { runs: placed, changed, bytes, guards };
}
