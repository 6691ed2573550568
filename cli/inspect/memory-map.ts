// The memory map of a process: its areas, and how much of each is saved (pure).
import { PageFlag, VmaStatus } from '../../node-agent/engine/image/messages/enums.ts';
import type { PagemapEntry, VmaEntry } from '../../node-agent/engine/image/messages/memory.ts';
import type { AreaFacts } from './facts.ts';

const PAGE_BYTES = 4096n;
/** mmap(2) */
const PROT = [
  [1, 'r'],
  [2, 'w'],
  [4, 'x'],
] as const;
const MAP_SHARED = 1;

const NAMES: readonly (readonly [status: number, name: string])[] = [
  [VmaStatus.VDSO, '[vdso]'],
  [VmaStatus.VVAR, '[vvar]'],
  [VmaStatus.VSYSCALL, '[vsyscall]'],
  [VmaStatus.HEAP, '[heap]'],
  [VmaStatus.STACK, '[stack]'],
  [VmaStatus.GUARD, '[guard]'],
  [VmaStatus.SYSVIPC, '[sysv]'],
  [VmaStatus.ANON_SHARED, '[anon shared]'],
  [VmaStatus.AIORING, '[aio]'],
];

interface Run {
  readonly start: bigint;
  readonly end: bigint;
  readonly where: 'here' | 'parent';
}

/**
 * @param pagemap ascending, as images hold it
 * @param nameOf path of an open file by its id in the images
 */
export function areaFacts(
  vmas: readonly VmaEntry[],
  pagemap: readonly PagemapEntry[],
  nameOf: (id: number) => string | undefined,
): readonly AreaFacts[] {
  const runs = pagemap.map(runOf);
  return vmas.map((vma) => {
    const inside = runs.filter(({ start, end }) => start < vma.end && end > vma.start);
    return {
      start: vma.start,
      end: vma.end,
      permissions: permissions(vma),
      bytes: Number(vma.end - vma.start),
      savedBytes: bytesOf(inside, vma, 'here'),
      parentBytes: bytesOf(inside, vma, 'parent'),
      name: areaName(vma, nameOf),
    };
  });
}

function runOf({ vaddr, nrPages, compatNrPages, flags, inParent }: PagemapEntry): Run {
  const pages = nrPages ?? BigInt(compatNrPages);
  const isParent = inParent === true || ((flags ?? 0) & PageFlag.PARENT) !== 0;
  return { start: vaddr, end: vaddr + pages * PAGE_BYTES, where: isParent ? 'parent' : 'here' };
}

function bytesOf(runs: readonly Run[], { start, end }: VmaEntry, where: Run['where']): number {
  return runs
    .filter((run) => run.where === where)
    .reduce((sum, run) => sum + Number(min(run.end, end) - max(run.start, start)), 0);
}

function permissions({ prot, flags }: VmaEntry): string {
  const letters = PROT.map(([bit, letter]) => ((prot & bit) === 0 ? '-' : letter));
  return `${letters.join('')}${(flags & MAP_SHARED) === 0 ? 'p' : 's'}`;
}

function areaName(vma: VmaEntry, nameOf: (id: number) => string | undefined): string {
  const isFile =
    (vma.status & (VmaStatus.FILE_PRIVATE | VmaStatus.FILE_SHARED | VmaStatus.MEMFD)) !== 0;
  if (isFile) {
    return nameOf(Number(vma.shmid)) ?? '[file]';
  }
  return NAMES.find(([status]) => (vma.status & status) !== 0)?.[1] ?? '[anon]';
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
