// Saved processes made by hand, for decisions about trees and memory.
import { VmaStatus } from '../../image/messages/enums.ts';
import type { MmEntry, VmaEntry } from '../../image/messages/memory.ts';
import type { SavedProcess } from '../../state/records.ts';
import { MAP, PROT } from '../area.ts';

const X86_64 = 1;

/** Private anonymous memory between two pages, `more` says what is different. */
export function area(firstPage: number, endPage: number, more: Partial<VmaEntry> = {}): VmaEntry {
  return {
    start: BigInt(firstPage) << 12n,
    end: BigInt(endPage) << 12n,
    pgoff: 0n,
    shmid: 0n,
    prot: PROT.READ | PROT.WRITE,
    flags: MAP.PRIVATE | MAP.ANONYMOUS,
    status: VmaStatus.REGULAR | VmaStatus.ANON_PRIVATE,
    fd: -1n,
    ...more,
  };
}

export function memory(vmas: readonly VmaEntry[], exeFileId = 1): MmEntry {
  return {
    mmStartCode: 0n,
    mmEndCode: 0n,
    mmStartData: 0n,
    mmEndData: 0n,
    mmStartStack: 0n,
    mmStartBrk: 0n,
    mmBrk: 0n,
    mmArgStart: 0n,
    mmArgEnd: 0n,
    mmEnvStart: 0n,
    mmEnvEnd: 0n,
    exeFileId,
    mmSavedAuxv: [],
    vmas: [...vmas],
    aios: [],
  };
}

/** A process with its place in the tree; without `mm` a zombie. */
export function savedProcess(pid: number, ppid: number, sid: number, mm?: MmEntry): SavedProcess {
  return {
    pid,
    pstree: { pid, ppid, pgid: sid, sid, threads: [pid] },
    zombie: mm === undefined,
    core: { mtype: X86_64 },
    threads: [],
    fdinfo: [],
    ...(mm && { mm }),
  };
}
