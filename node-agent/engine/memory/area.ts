// What one line of /proc/PID/maps is, and how CRIU 4.2 writes it down. Pure.
// Sources: proc_pid_smaps(5) VmFlags, mm/shmem.c (names of kernel-internal files), criu.md 3.3 and 3.4.3.
import { type Finding, refusal } from '../finding.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import type { VmaEntry } from '../image/messages/memory.ts';
import { hugeSizeFlags } from '../linux/huge-pages.ts';
import type { Mapping } from '../linux/procfs/maps.ts';
import type { InternalDevices } from './internal-devices.ts';

/** What stands behind a mapping, and so where its content comes from after a restore. */
export type AreaKind =
  /** private, no file: every page that was ever written is saved */
  | 'anonymous'
  /** a file, private: only the pages that the process changed are saved */
  | 'file-private'
  /** a file, shared: the content belongs to the file */
  | 'file-shared'
  /** memfd or shared anonymous memory, mapped shared: saved once for all who map it */
  | 'shared-memory'
  /** attached by shmat(2): saved with the IPC namespace */
  | 'sysv-segment'
  /** the same object mapped private: changed pages are saved with the process */
  | 'shared-memory-private'
  /** of asynchronous I/O, shared with the kernel */
  | 'aio-ring'
  /** of a packet socket, shared with the kernel; it is empty after a restore */
  | 'packet-ring'
  | 'vdso'
  | 'vvar'
  | 'vsyscall';

/** One mapping that can be saved. */
export interface Area {
  readonly mapping: Mapping;
  readonly kind: AreaKind;
  /** of reserved huge pages of this size */
  readonly hugePageBytes?: number;
}

export const PROT = { READ: 1, WRITE: 2, EXEC: 4 } as const;

/** MAP_* of mmap(2). */
export const MAP = {
  SHARED: 0x1,
  PRIVATE: 0x2,
  /** in the place of SHARED and PRIVATE (Linux 6.11) */
  DROPPABLE: 0x8,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  GROWSDOWN: 0x100,
  LOCKED: 0x2000,
  NORESERVE: 0x4000,
  HUGETLB: 0x40000,
  FIXED_NOREPLACE: 0x100000,
} as const;

/** MADV_* of madvise(2). */
export const MADV = {
  RANDOM: 1,
  SEQUENTIAL: 2,
  DONTNEED: 4,
  DONTFORK: 10,
  DOFORK: 11,
  MERGEABLE: 12,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  WIPEONFORK: 18,
  KEEPONFORK: 19,
  GUARD_INSTALL: 102,
  GUARD_REMOVE: 103,
} as const;

/** VmFlags that mmap(2) set. */
const MAP_FLAGS: readonly (readonly [string, number])[] = [
  ['gd', MAP.GROWSDOWN],
  ['lo', MAP.LOCKED],
  ['nr', MAP.NORESERVE],
  ['ht', MAP.HUGETLB],
];

/** VmFlags that madvise(2) set, and with what. */
const ADVICE: readonly (readonly [string, number])[] = [
  ['rr', MADV.RANDOM],
  ['sr', MADV.SEQUENTIAL],
  ['dc', MADV.DONTFORK],
  ['mg', MADV.MERGEABLE],
  ['hg', MADV.HUGEPAGE],
  ['nh', MADV.NOHUGEPAGE],
  ['dd', MADV.DONTDUMP],
  ['wf', MADV.WIPEONFORK],
];

/** Mappings that no image can carry, by their VmFlags. */
const REFUSED_FLAGS: readonly (readonly [string, string, string])[] = [
  ['ss', 'ShadowStack', 'start it without user shadow stacks (GLIBC_TUNABLES)'],
  ['um', 'Userfaultfd', 'wait for its lazy pages, or stop its user-space paging'],
  ['uw', 'Userfaultfd', 'stop its user-space paging first'],
  ['ui', 'Userfaultfd', 'stop its user-space paging first'],
  ['io', 'DeviceMapping', 'release the device first'],
  ['pf', 'DeviceMapping', 'release the device first'],
];

/** The same by their names. */
const REFUSED_NAMES: readonly (readonly [RegExp, string, string])[] = [
  [/^(anon_inode:)?\/?secretmem/, 'SecretMemory', 'memfd_secret(2) hides it from everybody'],
  [/^anon_inode:\[io_uring\]/, 'IoUring', 'turn io_uring off (for most programs a setting)'],
  [/^anon_inode:\[perf_event\]/, 'PerfEvent', 'stop the profiler first'],
  [/^anon_inode:/, 'KernelObjectMapping', 'the object behind the mapping cannot be saved'],
  [/^\/dmabuf/, 'DeviceMapping', 'release the device first'],
  [/^\[uprobes\]/, 'Uprobes', 'remove the probes (perf, bpftrace) from its program first'],
];

const PRIVATE_NAMES = /^(\[heap\]|\[stack(:\d+)?\]|\[anon:.*\])?$/;
const SEGMENT_NAME = /^\/SYSV[0-9a-f]{8}( \(deleted\))?$/;
const SHARED_MEMORY_NAMES = /^(\/memfd:|\/dev\/zero|\[anon_shmem:)/;

/**
 * @param devices where the kernel keeps memory without a file system
 * @param pid as the application knows it, for the finding
 */
export function classify(
  mapping: Mapping,
  devices: InternalDevices,
  pid: number,
): AreaKind | Finding {
  const special = specialKind(mapping);
  if (special) return special;
  const refused = refusedBy(mapping);
  if (refused) return refusal(refused.code, pid, describeMapping(mapping), refused.advice);
  if (mapping.flags.has('ht')) return hugeKind(mapping, devices, pid);
  // The first segment of a namespace has number 0, and so has its file.
  if (mapping.device === devices.shmem && SEGMENT_NAME.test(mapping.name)) return 'sysv-segment';
  if (mapping.device === devices.shmem && mapping.inode !== 0n) {
    if (SHARED_MEMORY_NAMES.test(mapping.name)) {
      return mapping.shared ? 'shared-memory' : 'shared-memory-private';
    }
    return unknown(mapping, pid);
  }
  if (mapping.inode !== 0n) return mapping.shared ? 'file-shared' : 'file-private';
  return PRIVATE_NAMES.test(mapping.name) ? 'anonymous' : unknown(mapping, pid);
}

/** Memory of reserved huge pages: private, shared anonymous, memfd. Files of a hugetlbfs that is mounted are no such memory. */
function hugeKind(
  mapping: Mapping,
  { hugePages }: InternalDevices,
  pid: number,
): AreaKind | Finding {
  const { name, shared } = mapping;
  const internal = hugePages.has(mapping.device);
  if (internal && name.startsWith('/anon_hugepage')) return shared ? 'shared-memory' : 'anonymous';
  if (internal && name.startsWith('/memfd:')) {
    return shared ? 'shared-memory' : 'shared-memory-private';
  }
  const advice = 'use transparent huge pages, mmap(MAP_HUGETLB) or a memfd in its place';
  return refusal('HugeTlb', pid, describeMapping(mapping), advice);
}

function specialKind(mapping: Mapping): AreaKind | undefined {
  const { name } = mapping;
  if (name.startsWith('/[aio]') && !isOnDisk(mapping)) return 'aio-ring';
  if (name.startsWith('socket:[')) return 'packet-ring';
  if (name === '[vdso]') return 'vdso';
  if (name === '[vsyscall]') return 'vsyscall';
  return name.startsWith('[vvar') ? 'vvar' : undefined;
}

function refusedBy(mapping: Mapping): { code: string; advice: string } | undefined {
  const named = REFUSED_NAMES.find(([pattern]) => pattern.test(mapping.name));
  if (named && !(mapping.name.startsWith('/') && isOnDisk(mapping))) {
    return { code: named[1], advice: named[2] };
  }
  if (isHiddenForGood(mapping)) return HIDDEN_FOR_GOOD;
  const flagged = REFUSED_FLAGS.find(([flag]) => mapping.flags.has(flag));
  return flagged && { code: flagged[1], advice: flagged[2] };
}

const HIDDEN_FOR_GOOD = {
  code: 'SealedMapping',
  advice: 'mseal(2) forbids to hide it from fork again, which a snapshot must undo: seal without',
};

/** Sealed, and of those that a snapshot cannot ask fork to copy without changing it for ever: mseal(2). */
function isHiddenForGood({ flags, writable, shared, protectionKey = 0 }: Mapping): boolean {
  const hidden = flags.has('dc') || flags.has('wf');
  return flags.has('sl') && hidden && !shared && (!writable || protectionKey !== 0);
}

/** A user may name a real file `/[aio]`; kernel-internal ones live on devices with major number 0 and are always deleted. */
function isOnDisk(mapping: Mapping): boolean {
  return !mapping.device.startsWith('00:') || !mapping.name.endsWith(' (deleted)');
}

function unknown(mapping: Mapping, pid: number): Finding {
  return refusal(
    'UnknownMapping',
    pid,
    describeMapping(mapping),
    'this kind of memory is not supported; please report it',
  );
}

/** `7f00-7f10 rw-s /dev/x`, for people. */
export function describeMapping(m: Mapping): string {
  const flag = (on: boolean, letter: string) => (on ? letter : '-');
  const rights = `${flag(m.readable, 'r')}${flag(m.writable, 'w')}${flag(m.executable, 'x')}`;
  return `${m.start.toString(16)}-${m.end.toString(16)} ${rights}${m.shared ? 's' : 'p'} ${m.name}`.trim();
}

/** PROT_* of a mapping. */
export function protection(mapping: Mapping): number {
  return (
    (mapping.readable ? PROT.READ : 0) |
    (mapping.writable ? PROT.WRITE : 0) |
    (mapping.executable ? PROT.EXEC : 0)
  );
}

const STATUS: Readonly<Record<AreaKind, number>> = {
  anonymous: VmaStatus.REGULAR | VmaStatus.ANON_PRIVATE,
  'file-private': VmaStatus.REGULAR | VmaStatus.FILE_PRIVATE,
  'file-shared': VmaStatus.REGULAR | VmaStatus.FILE_SHARED,
  'shared-memory': VmaStatus.REGULAR | VmaStatus.FILE_SHARED | VmaStatus.MEMFD,
  'shared-memory-private': VmaStatus.REGULAR | VmaStatus.FILE_PRIVATE | VmaStatus.MEMFD,
  'aio-ring': VmaStatus.AIORING,
  'packet-ring': VmaStatus.REGULAR | VmaStatus.SOCKET,
  'sysv-segment': VmaStatus.REGULAR | VmaStatus.ANON_SHARED | VmaStatus.SYSVIPC,
  vdso: VmaStatus.REGULAR | VmaStatus.VDSO | VmaStatus.ANON_PRIVATE,
  vvar: VmaStatus.REGULAR | VmaStatus.VVAR | VmaStatus.ANON_PRIVATE,
  vsyscall: VmaStatus.VSYSCALL | VmaStatus.ANON_PRIVATE,
};

const BEHIND_FILE = VmaStatus.FILE_PRIVATE | VmaStatus.FILE_SHARED | VmaStatus.SOCKET;

/** Has the kind a file in files.img? */
export function hasFile(kind: AreaKind): boolean {
  return (STATUS[kind] & BEHIND_FILE) !== 0;
}

/** The file behind an area: its id in files.img, and the flags to open it with. */
export interface AreaFile {
  readonly id: number;
  readonly openFlags: number;
}

/** The area as CRIU writes it. */
export function vmaEntryOf(area: Area, file?: AreaFile): VmaEntry {
  const { mapping, kind } = area;
  const heap = mapping.name === '[heap]' ? VmaStatus.HEAP : 0;
  const madv = adviceBits(mapping.flags);
  return {
    start: mapping.start,
    end: mapping.end,
    pgoff: hasFile(kind) || kind === 'sysv-segment' ? mapping.offset : 0n,
    // The kernel gives a segment's file the segment's id as inode number.
    shmid: kind === 'sysv-segment' ? mapping.inode : BigInt(file?.id ?? 0),
    prot: protection(mapping),
    flags: mapFlags(area),
    status: STATUS[kind] | heap,
    fd: -1n,
    ...(madv === 0n ? {} : { madv }),
    ...(file ? { fdflags: file.openFlags } : {}),
    ...marksOf(mapping),
  };
}

const GIVEN_NAME = /^\[anon(?:_shmem)?:(.*)\]$/s;

/** What CRIU's message has no field for. */
function marksOf({ flags, name, protectionKey }: Mapping): Partial<VmaEntry> {
  const given = GIVEN_NAME.exec(name)?.[1];
  return {
    ...(flags.has('sl') ? { sealed: true } : {}),
    ...(flags.has('lf') ? { lockedOnFault: true } : {}),
    ...(given === undefined ? {} : { name: given }),
    ...(protectionKey === undefined ? {} : { protectionKey }),
  };
}

function mapFlags({ mapping, kind, hugePageBytes }: Area): number {
  let flags: number = mapping.shared ? MAP.SHARED : MAP.PRIVATE;
  if (mapping.flags.has('dp')) flags = MAP.DROPPABLE;
  if (!hasFile(kind) && kind !== 'aio-ring') flags |= MAP.ANONYMOUS;
  if (hugePageBytes !== undefined) flags |= hugeSizeFlags(hugePageBytes);
  for (const [name, bit] of MAP_FLAGS) if (mapping.flags.has(name)) flags |= bit;
  return flags;
}

function adviceBits(flags: ReadonlySet<string>): bigint {
  let bits = 0n;
  for (const [name, advice] of ADVICE) if (flags.has(name)) bits |= 1n << BigInt(advice);
  return bits;
}

/** CRIU's mark of pages that madvise(MADV_GUARD_INSTALL) took away. */
export function guardEntry(start: bigint, end: bigint): VmaEntry {
  return {
    start,
    end,
    pgoff: 0n,
    shmid: 0n,
    prot: 0,
    flags: 0,
    status: VmaStatus.GUARD,
    fd: -1n,
  };
}
