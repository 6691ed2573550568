// The areas of a saved address space by what must be done to rebuild them. Pure.
import { VmaStatus } from '../image/messages/enums.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { MAP, PROT } from './area.ts';
import type { Span } from './address-space.ts';

/** What an area of an image needs. */
export type SavedKind =
  | 'anonymous'
  /** opened by its path */
  | 'file'
  /** memfd or shared anonymous memory: an object of the tree, by file id or (old images) shmem id */
  | 'shared-memory'
  /** moved, not mapped */
  | 'vdso'
  | 'vvar'
  /** made by io_setup(2) */
  | 'aio-ring'
  /** mapped when its socket is open again */
  | 'packet-ring'
  /** attached by shmat(2) */
  | 'sysv-segment'
  /** the kernel's, at the same place everywhere */
  | 'vsyscall'
  /** pages that trap, inside another area */
  | 'guard'
  | 'unsupported';

const UNSUPPORTED = VmaStatus.SHSTK | VmaStatus.UPROBES | VmaStatus.EXT_PLUGIN;

/** @param area as CRIU 4.2 writes it */
export function kindOf({ status, flags }: VmaEntry): SavedKind {
  if (status & VmaStatus.GUARD) return 'guard';
  if (status & VmaStatus.VSYSCALL) return 'vsyscall';
  if (status & VmaStatus.VVAR) return 'vvar';
  if (status & VmaStatus.VDSO) return 'vdso';
  if (status & VmaStatus.AIORING) return 'aio-ring';
  if (status & VmaStatus.SYSVIPC) return flags & MAP.HUGETLB ? 'unsupported' : 'sysv-segment';
  if (status & VmaStatus.SOCKET) return 'packet-ring';
  if (status & UNSUPPORTED) return 'unsupported';
  if (status & (VmaStatus.MEMFD | VmaStatus.ANON_SHARED)) return 'shared-memory';
  if (status & (VmaStatus.FILE_PRIVATE | VmaStatus.FILE_SHARED)) return 'file';
  return status & VmaStatus.ANON_PRIVATE ? 'anonymous' : 'unsupported';
}

/** The areas to be mapped anew, ascending. */
export function mappedAreas({ vmas }: MmEntry): VmaEntry[] {
  return vmas.filter((area) => MAPPED.has(kindOf(area)));
}

/** Areas that are given their advice and locks at the end, ascending. */
export function advisedAreas({ vmas }: MmEntry): VmaEntry[] {
  return vmas.filter((area) => MAPPED.has(kindOf(area)) || kindOf(area) === 'sysv-segment');
}

const MAPPED: ReadonlySet<SavedKind> = new Set(['anonymous', 'file', 'shared-memory']);

/** The one area of a kind that a process has at most once. */
export function onlyArea({ vmas }: MmEntry, kind: 'vdso' | 'vvar'): VmaEntry | undefined {
  return vmas.find((area) => kindOf(area) === kind);
}

/** Every address that the application will use. */
export function savedSpans({ vmas }: MmEntry): Span[] {
  return vmas.filter((area) => kindOf(area) !== 'vsyscall');
}

/** Flags of mmap(2) that an area is mapped with; locking comes after the pages. */
export function mapFlagsOf(area: VmaEntry): number {
  const { flags } = area;
  // The pages of an object are what it was made of.
  const huge = isHuge(area) && kindOf(area) === 'anonymous' ? flags & HUGE_FLAGS : 0;
  return (flags & KEPT_FLAGS) | huge | MAP.FIXED_NOREPLACE;
}

/** Of reserved huge pages. */
export const isHuge = ({ flags }: VmaEntry): boolean => (flags & MAP.HUGETLB) !== 0;

/** MAP_HUGETLB, and the size above it. */
const HUGE_FLAGS = MAP.HUGETLB | 0xfc000000;

const KEPT_FLAGS =
  MAP.SHARED | MAP.PRIVATE | MAP.DROPPABLE | MAP.ANONYMOUS | MAP.GROWSDOWN | MAP.NORESERVE;

/** Private pages are part of the process's own image. */
export const isPrivate = ({ flags }: VmaEntry): boolean => (flags & MAP.PRIVATE) !== 0;

/** Protection while pages are written: never executable and writable at once, which hardened kernels deny. */
export function protectionToFill(area: VmaEntry, filled: boolean): number {
  if (!filled || !isPrivate(area) || area.prot & PROT.WRITE) return area.prot;
  return PROT.READ | PROT.WRITE;
}

/** madvise(2) numbers to be repeated, in ascending order. */
export function advicesOf({ madv = 0n, flags }: VmaEntry): number[] {
  // Droppable memory brings its advice along and takes no other
  if (madv === 0n || flags & MAP.DROPPABLE) return [];
  const advices: number[] = [];
  for (let bit = 0; bit < 64; bit++) if (madv & (1n << BigInt(bit))) advices.push(bit);
  return advices;
}
