// Memory that a process still shared with its parent: it is born with it again, and only what differs is written.
import type { ImageReader } from '../image/reader.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { SavedProcess } from '../state/records.ts';
import { overlaps, type Span } from './address-space.ts';
import { MADV, MAP } from './area.ts';
import { isPrivate, kindOf, mappedAreas, onlyArea } from './saved-areas.ts';
import { clipRuns, PAGE, readBatches, type SavedPages, type SavedRun } from './saved-pages.ts';

const NOT_INHERITED = (1n << BigInt(MADV.DONTFORK)) | (1n << BigInt(MADV.WIPEONFORK));

/** Pages of a process as its pagemap names them. */
export interface PageSet {
  readonly pages: SavedPages;
  readonly runs: readonly SavedRun[];
}

/**
 * Shall the child be forked when its parent has its memory, and not before? Only then are pages that both had in common
 * (a worker of a preforking server) one page again.
 */
export function inheritsMemory(parent: SavedProcess, child: SavedProcess): boolean {
  if (!parent.mm || !child.mm || child.zombie || parent.mm.exeFileId !== child.mm.exeFileId) {
    return false;
  }
  // Another exec of the same program has other addresses
  if (onlyArea(parent.mm, 'vdso')?.start !== onlyArea(child.mm, 'vdso')?.start) return false;
  return inheritedAreas(parent.mm, child.mm).some(isPrivate);
}

/** Areas of the child that fork makes exactly as they were saved, but for the content of private ones. */
export function inheritedAreas(parent: MmEntry, child: MmEntry): VmaEntry[] {
  const guards = parent.vmas.filter((area) => kindOf(area) === 'guard');
  const known = new Map(mappedAreas(parent).map((area) => [area.start, area]));
  return mappedAreas(child).filter((area) => {
    const same = known.get(area.start);
    if (!same || !sameArea(same, area)) return false;
    const forked = ((area.madv ?? 0n) & NOT_INHERITED) === 0n && !(area.flags & MAP.DROPPABLE);
    return forked && !guards.some((guard) => overlaps(guard, area));
  });
}

function sameArea(a: VmaEntry, b: VmaEntry): boolean {
  return (
    a.end === b.end &&
    a.prot === b.prot &&
    a.flags === b.flags &&
    a.status === b.status &&
    a.shmid === b.shmid &&
    a.pgoff === b.pgoff &&
    (a.madv ?? 0n) === (b.madv ?? 0n)
  );
}

/** What to do with the pages that a child was born with. */
export interface PageDifference {
  /** ascending: pages of the child that its parent has not, or has other bytes in */
  readonly toWrite: readonly SavedRun[];
  /** pages of the parent that the child has not */
  readonly toDrop: readonly Span[];
}

/** @param kept areas that the child was born with */
export function comparePages(
  images: ImageReader,
  parent: PageSet,
  child: PageSet,
  kept: readonly VmaEntry[],
): PageDifference {
  const inherited = clipRuns(parent.runs, kept.filter(isPrivate));
  const common = clipRuns(child.runs, inherited);
  const differing = differingPages(images, parent, child, common);
  const own = subtract(child.runs, common);
  const toWrite = [...own, ...differing].sort((a, b) => (a.start < b.start ? -1 : 1));
  return { toWrite, toDrop: subtract(inherited, common) };
}

/** Runs without the parts that lie in `spans`; both ascend. */
export function subtract(runs: readonly SavedRun[], spans: readonly Span[]): SavedRun[] {
  const rest: SavedRun[] = [];
  let first = 0;
  for (const run of runs) {
    let at = run.start;
    const cut = (start: bigint, end: bigint): void => {
      if (start >= end) return;
      rest.push({ ...run, start, end, offset: run.offset + Number(start - run.start) });
    };
    while (first < spans.length && spans[first]!.end <= run.start) first++;
    for (let i = first; i < spans.length && spans[i]!.start < run.end; i++) {
      cut(at, spans[i]!.start);
      at = spans[i]!.end;
    }
    cut(at, run.end);
  }
  return rest;
}

/** Reads both images side by side. @param common runs of the child that lie in runs of the parent */
function differingPages(
  images: ImageReader,
  parent: PageSet,
  child: PageSet,
  common: readonly SavedRun[],
): SavedRun[] {
  const theirs = pagesOf(images, parent.pages, clipRuns(parent.runs, common));
  const differing: SavedRun[] = [];
  for (const page of pagesOf(images, child.pages, common)) {
    const other = theirs.next().value;
    if (other?.content.equals(page.content) === true) continue;
    const last = differing.at(-1);
    const { start, end, offset, inParent } = page;
    if (last?.end === start) differing[differing.length - 1] = { ...last, end };
    else differing.push({ start, end, offset, inParent });
  }
  return differing;
}

interface SavedPage extends SavedRun {
  readonly content: Buffer;
}

function* pagesOf(
  images: ImageReader,
  pages: SavedPages,
  runs: readonly SavedRun[],
): Generator<SavedPage, undefined> {
  const length = Number(PAGE);
  for (const { pieces, content } of readBatches(images, pages, runs)) {
    let from = 0;
    for (const piece of pieces) {
      for (let start = piece.start; start < piece.end; start += PAGE) {
        const offset = piece.offset + Number(start - piece.start);
        const bytes = content.subarray(from, from + length);
        yield { start, end: start + PAGE, offset, inParent: false, content: bytes };
        from += length;
      }
    }
  }
  return undefined;
}
