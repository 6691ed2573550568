// One saved process tree in memory: CRIU's messages themselves are the model, there is no second one (docs/adr/0003).
import type { CoreEntry, TaskCoreEntry, ThreadCoreEntry } from '../image/messages/core.ts';
import type { ThreadInfoX86 } from '../image/messages/core-x86.ts';
import type { FdinfoEntry, FsEntry } from '../image/messages/files.ts';
import type { InventoryEntry, PstreeEntry, TaskKobjIdsEntry } from '../image/messages/inventory.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import type { VdsoBridge } from '../restore/vdso-bridge.ts';
import type { FilterChain } from './seccomp.ts';

/** A message under construction: every field may still be missing; the writer refuses what stays so. */
export type Draft<T> = T extends Uint8Array | bigint | number | string | boolean
  ? T
  : T extends readonly (infer Element)[]
    ? Draft<Element>[]
    : { -readonly [Key in keyof T]?: Draft<Exclude<T[Key], undefined>> };

/** Both halves of a thread's core message. */
export interface CoreDraft {
  readonly threadInfo: Draft<ThreadInfoX86>;
  readonly threadCore: Draft<ThreadCoreEntry>;
  /** seccomp filters, oldest first; written once for all threads */
  filters?: FilterChain;
}

/** A thread while it is saved. */
export interface ThreadRecord {
  /** as the application knows it */
  readonly tid: number;
  readonly core: CoreDraft;
}

/** A process while it is saved; `task` goes into the leader's core. */
export interface ProcessRecord {
  readonly pid: number;
  readonly pstree: Draft<PstreeEntry>;
  readonly ids: Draft<TaskKobjIdsEntry>;
  readonly mm: Draft<MmEntry>;
  readonly fs: Draft<FsEntry>;
  readonly fdinfo: FdinfoEntry[];
  readonly task: Draft<TaskCoreEntry>;
  readonly threads: ThreadRecord[];
  readonly zombie: boolean;
}

/** A process as it was read from its images. */
export interface SavedProcess {
  readonly pid: number;
  readonly pstree: PstreeEntry;
  readonly zombie: boolean;
  /** the leader's core, with `tc` */
  readonly core: CoreEntry;
  /** leader first */
  readonly threads: readonly SavedThread[];
  /** absent for a zombie */
  readonly ids?: TaskKobjIdsEntry;
  readonly mm?: MmEntry;
  readonly fs?: FsEntry;
  readonly fdinfo: readonly FdinfoEntry[];
  /** its vDSO was another kernel's, and is ordinary memory now */
  readonly bridge?: VdsoBridge;
}

export interface SavedThread {
  readonly tid: number;
  readonly core: CoreEntry;
  readonly filters: FilterChain;
}

export interface SavedTree {
  readonly inventory: InventoryEntry;
  /** parents before children */
  readonly processes: readonly SavedProcess[];
}
