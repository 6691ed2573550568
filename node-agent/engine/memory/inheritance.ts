// Which processes get their memory from their parent by fork, and which of their areas then only have to be adjusted. Pure.
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { SavedProcess } from '../state/records.ts';
import { sizeOf, type Span, subtract } from './address-space.ts';
import { MADV, MAP } from './area.ts';
import { attachmentsOf } from './attachments.ts';
import { memoryOf, type PageSet } from './page-set.ts';
import { advisedAreas, isPrivate, kindOf, mapFlagsOf, onlyArea } from './saved-areas.ts';
import { clipRuns } from './saved-pages.ts';

/** Fork leaves such areas out, or empties them. */
const NOT_INHERITED = (1n << BigInt(MADV.DONTFORK)) | (1n << BigInt(MADV.WIPEONFORK));
/** mremap(2) makes private areas larger without cutting them in two; a stack grows at its start. */
const NOT_ENLARGED = MAP.GROWSDOWN | MAP.DROPPABLE | MAP.HUGETLB;
/** A child that has fewer of its pages where its parent has pages is built from nothing. */
const WORTHWHILE = { part: 1n, of: 4n } as const;

/** An area of the child that begins inside an area of the parent with the same thing behind it. */
export interface InheritedArea {
  readonly area: VmaEntry;
  /** what fork makes of it; the rest, at its end, is added */
  readonly kept: Span;
  /** PROT_* it is born with */
  readonly prot: number;
}

/** @returns areas of the child that fork makes, by their entries; their pages are still the parent's */
export function inheritedAreas(
  parent: MmEntry,
  child: MmEntry,
  sameFile: SameFile,
): Map<VmaEntry, InheritedArea> {
  const theirs = advisedAreas(parent);
  const inherited = new Map<VmaEntry, InheritedArea>();
  let next = 0;
  for (const area of advisedAreas(child)) {
    while (next < theirs.length && theirs[next]!.end <= area.start) next++;
    const from = theirs[next];
    if (!from || from.start > area.start || !sameBacking(from, area, sameFile)) continue;
    if (from.end < area.end && !canBeEnlarged(area)) continue;
    const kept = { start: area.start, end: from.end < area.end ? from.end : area.end };
    inherited.set(area, { area, kept, prot: from.prot });
  }
  // Segments are attached as a whole.
  for (const { areas } of attachmentsOf(child)) {
    if (areas.every((area) => inherited.has(area))) continue;
    for (const area of areas) inherited.delete(area);
  }
  return inherited;
}

/** Do two file ids of one tree's images lead to the same file here? */
export type SameFile = (a: number, b: number) => boolean;

function sameBacking(from: VmaEntry, area: VmaEntry, sameFile: SameFile): boolean {
  const kind = kindOf(area);
  if (kind !== kindOf(from) || mapFlagsOf(from) !== mapFlagsOf(area)) return false;
  const advice = area.madv ?? 0n;
  if (advice !== (from.madv ?? 0n) || (advice & NOT_INHERITED) !== 0n) return false;
  if (kind === 'anonymous') return true;
  if (from.pgoff + (area.start - from.start) !== area.pgoff) return false;
  // What a shared mapping may become was decided by the descriptor that it was made with
  if (!isPrivate(area) && (from.prot !== area.prot || from.fdflags !== area.fdflags)) return false;
  if (kind === 'file') return sameFile(Number(from.shmid), Number(area.shmid));
  const isMemfd = (one: VmaEntry): boolean => (one.status & VmaStatus.MEMFD) !== 0;
  return from.shmid === area.shmid && isMemfd(from) === isMemfd(area);
}

const canBeEnlarged = (area: VmaEntry): boolean =>
  isPrivate(area) && (area.flags & NOT_ENLARGED) === 0;

/** Guard pages that fork copies and the child had no longer. */
export function surplusGuards(parent: MmEntry, child: MmEntry, kept: readonly Span[]): Span[] {
  const guards = (mm: MmEntry): Span[] => mm.vmas.filter((vma) => kindOf(vma) === 'guard');
  const theirs = guards(parent);
  const copied = subtract(theirs, subtract(theirs, kept));
  return subtract(copied, guards(child));
}

/** Pages of two processes, of which one is the other's parent. */
export interface Relatives {
  readonly parent: SavedProcess;
  readonly child: SavedProcess;
  /** asked only where areas are in common */
  readonly pagesOf: (saved: SavedProcess) => PageSet;
}

/**
 * Shall the child be forked when its parent has its memory, and not before? Only then are pages that both had in common
 * (a worker of a preforking server) one page again. Which of them are the same is not asked here.
 */
export function inheritsMemory({ parent, child, pagesOf }: Relatives, sameFile: SameFile): boolean {
  if (child.zombie || parent.zombie) return false;
  const [theirs, own] = [memoryOf(parent), memoryOf(child)];
  if (!sameFile(theirs.exeFileId, own.exeFileId) || !sameVdso(theirs, own)) return false;
  const areas = [...inheritedAreas(theirs, own, sameFile).values()];
  const kept = areas.filter(({ area }) => isPrivate(area)).map((inherited) => inherited.kept);
  if (kept.length === 0) return false;
  const { runs } = pagesOf(child);
  const common = bytesOf(clipRuns(clipRuns(runs, kept), pagesOf(parent).runs));
  return common > 0n && common * WORTHWHILE.of >= bytesOf(runs) * WORTHWHILE.part;
}

/** Another exec of the same program has other addresses. */
function sameVdso(a: MmEntry, b: MmEntry): boolean {
  return (['vdso', 'vvar'] as const).every(
    (kind) => onlyArea(a, kind)?.start === onlyArea(b, kind)?.start,
  );
}

const bytesOf = (spans: readonly Span[]): bigint =>
  spans.reduce((sum, span) => sum + sizeOf(span), 0n);
