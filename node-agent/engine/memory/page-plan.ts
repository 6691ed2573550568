// Which pages of a process are saved, and which stay in an older dump: for one moment of one process.
import { PAGE_IS, Pagemap, type PageRange, scanKnows } from '../linux/procfs/pagemap.ts';
import type { Area } from './area.ts';
import type { PlacedRun } from './older-pages.ts';
import { choosePages } from './page-choice.ts';

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

/**
 * All pages, where nobody knows what has changed.
 *
 * @param pid of the stopped process or its snapshot
 */
export function planPages(pid: number, areas: readonly Area[]): PagePlan {
  using table = new Pagemap(pid);
  const { runs, guards, bytes } = choosePages(table, areas, scanKnows(PAGE_IS.GUARD));
  const placed = runs.map((run) => ({ ...run, inParent: false }));
  return { runs: placed, changed: placed, bytes, guards };
}
