// What holds for all mappings of a process that are still to come: merging (KSM), no transparent huge pages, locking, no
// memory that is both writable and executable.
import { SYS } from '../arch/x86-64.ts';
import type { Finding } from '../finding.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { errnoName } from '../linux/ffi.ts';
import { MADV, MAP } from '../memory/area.ts';
import { mappedAreas } from '../memory/saved-areas.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import type { RemoteResult } from '../tracee/remote-word.ts';
import type { Draft } from './records.ts';
import type { ProcessKind } from './state-kind.ts';

const PR_SET_THP_DISABLE = 41;
const PR_GET_THP_DISABLE = 42;
const PR_SET_MDWE = 65;
const PR_GET_MDWE = 66;
const PR_SET_MEMORY_MERGE = 67;
const PR_GET_MEMORY_MERGE = 68;
const MADV_UNMERGEABLE = 13;
/** in the answer of PR_GET_THP_DISABLE, below its flags */
const THP_DISABLED = 1n;
const MCL_FUTURE = 2;
const MCL_ONFAULT = 4;
const PAGE_BYTES = 4096;
/** of the interpreter, which fills them in part (tracee/resident.ts, DUMP_LEADER) */
const LEADER_PAGES = 24;
const KIB = 1024n;

export const addressSpaceFlags: ProcessKind = {
  name: 'address-space-flags',
  scope: 'process',
  // Everything is mapped; it may still lock memory.
  stage: 'final',

  collect({ process, statusText }, remote) {
    const merge = remote.call(SYS.prctl, PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
    const hugePages = remote.call(SYS.prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
    const denied = remote.call(SYS.prctl, PR_GET_MDWE, 0, 0, 0, 0);
    const text = statusText();
    const { base, bytes } = process.resident!;
    const looked = Math.min(bytes, LEADER_PAGES * PAGE_BYTES);
    const present = remote.space(LEADER_PAGES);
    remote.must(SYS.mincore, base, looked, present);
    return ({ mm }) => {
      if (denied.value > 0n) mm.writeExecuteDenied = denied.number;
      if (merge.value === 1n) mm.memoryMerge = true;
      if (hugePages.value > THP_DISABLED)
        mm.thpDisableFlags = Number(hugePages.value & ~THP_DISABLED);
      const pages = present.bytes.subarray(0, looked / PAGE_BYTES);
      const ours = { bytes: BigInt(bytes), touched: pages.every((page) => page & 1) };
      const flags = lockedToCome(lockedBytesOf(text), (mm.vmas ?? []) as Draft<VmaEntry>[], ours);
      if (flags !== 0) mm.lockedToCome = flags;
    };
  },

  restore(saved, builder) {
    const { mm } = saved;
    if (!mm) return;
    const { thpDisableFlags, memoryMerge, writeExecuteDenied, lockedToCome: locked } = mm;
    builder.makeRoom(4, 0);
    const { batch } = builder;
    const asked: Asked[] = [];
    if (thpDisableFlags !== undefined) {
      const result = batch.call(SYS.prctl, PR_SET_THP_DISABLE, 1, thpDisableFlags, 0, 0);
      asked.push({ loss: LOSSES.hugePages, result });
    }
    if (memoryMerge) {
      const result = batch.call(SYS.prctl, PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
      asked.push({ loss: LOSSES.merge, result });
    }
    if (writeExecuteDenied !== undefined) {
      const result = batch.call(SYS.prctl, PR_SET_MDWE, writeExecuteDenied, 0, 0, 0);
      asked.push({ loss: LOSSES.writeExecute, result });
    }
    if (locked !== undefined) {
      asked.push({ loss: LOSSES.locked, result: batch.call(SYS.mlockall, locked) });
    }
    if (asked.length === 0) return;
    builder.flush();
    if (memoryMerge) unmergeOthers(mm, builder);
    for (const { loss, result } of asked) {
      if (result.value >= 0n) continue;
      const object = `${loss.object}: ${errnoName(Number(-result.value))}`;
      builder.report({ ...loss, severity: 'loss', pid: saved.pid, object });
    }
  },
};

interface Asked {
  readonly loss: Omit<Finding, 'severity' | 'pid'>;
  readonly result: RemoteResult;
}

const LOSSES = {
  hugePages: {
    code: 'HugePagesOff',
    object: 'PR_SET_THP_DISABLE',
    advice: 'the kernel here does not know its flags (Linux 6.18); huge pages are as by default',
  },
  merge: {
    code: 'MemoryMerge',
    object: 'PR_SET_MEMORY_MERGE',
    advice: 'it needs Linux 6.4 and CONFIG_KSM on the target; new memory is not merged',
  },
  writeExecute: {
    code: 'WriteExecute',
    object: 'PR_SET_MDWE',
    advice: 'the kernel here does not know it (Linux 6.3): memory may be writable and executable',
  },
  locked: {
    code: 'MemoryLock',
    object: 'mlockall',
    advice: 'raise RLIMIT_MEMLOCK of the target; what is mapped from now on is not locked',
  },
} as const;

/** VmLck of proc_pid_status(5) */
const lockedBytesOf = (status: string): bigint =>
  BigInt(/^VmLck:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * KIB;

/**
 * Nobody tells whether mlockall(MCL_FUTURE) was called, but the interpreter was mapped since: it is locked then, too.
 *
 * @param ours the interpreter's mapping; are all its pages there, also those that nobody used?
 */
export function lockedToCome(
  lockedBytes: bigint,
  areas: readonly Draft<VmaEntry>[],
  ours: { readonly bytes: bigint; readonly touched: boolean },
): number {
  const locked = areas.filter(({ flags = 0 }) => flags & MAP.LOCKED && !(flags & MAP.HUGETLB));
  const bytes = locked.reduce((sum, { start = 0n, end = 0n }) => sum + end - start, 0n);
  if (lockedBytes - bytes !== ours.bytes) return 0;
  return ours.touched ? MCL_FUTURE : MCL_FUTURE | MCL_ONFAULT;
}

/** Merging for the whole process is merging for every area; some were taken out of it afterwards. */
function unmergeOthers(mm: MmEntry, builder: ProcessBuilder): void {
  const merged = 1n << BigInt(MADV.MERGEABLE);
  for (const { start, end, madv = 0n } of mappedAreas(mm)) {
    if ((madv & merged) !== 0n) continue;
    builder.makeRoom(1, 0);
    // Most of them cannot be merged anyway, and the kernel leaves those alone.
    builder.batch.call(SYS.madvise, start, end - start, MADV_UNMERGEABLE);
  }
  builder.flush();
}
