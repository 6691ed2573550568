// Messages of mm-PID.img, pagemap-*.img and memfd.img.
import {
  bytes,
  bool,
  i32,
  type Infer,
  message,
  optional,
  repeated,
  required,
  sint64,
  string,
  u32,
  u64,
} from '../codec.ts';

/** Ours: on which memory nodes pages are taken, get_mempolicy(2). */
export const memoryPolicyEntry = message('memory_policy_entry', {
  /** MPOL_* with its flags */
  mode: required(1, u32),
  /** bit n stands for node n */
  nodes: required(2, bytes),
});
export type MemoryPolicyEntry = Infer<typeof memoryPolicyEntry>;

/** One mapping. */
export const vmaEntry = message('vma_entry', {
  start: required(1, u64),
  end: required(2, u64),
  /** byte offset in the file */
  pgoff: required(3, u64),
  /** file id of a file mapping or memfd, shmem id of shared memory, else 0 */
  shmid: required(4, u64),
  prot: required(5, u32),
  /** MAP_* */
  flags: required(6, u32),
  /** VmaStatus */
  status: required(7, u32),
  /** always -1n in images */
  fd: required(8, sint64),
  /** bit n: madvise(n) is to be repeated */
  madv: optional(9, u64),
  /** open flags of a file mapping */
  fdflags: optional(10, u32),
  /** ours: mseal(2) */
  sealed: optional(5000, bool),
  /** ours, with MAP_LOCKED: only what is touched, mlock2(2) */
  lockedOnFault: optional(5001, bool),
  /** ours: prctl(PR_SET_VMA_ANON_NAME) */
  name: optional(5002, string),
  /** ours: pkey_mprotect(2) */
  protectionKey: optional(5003, u32),
  /** ours: mbind(2) */
  policy: optional(5004, memoryPolicyEntry),
});
export type VmaEntry = Infer<typeof vmaEntry>;

/** io_setup(2) */
export const aioRingEntry = message('aio_ring_entry', {
  id: required(1, u64),
  nrReq: required(2, u32),
  ringLen: required(3, u32),
  /** ours: the ring as it was in the freeze */
  content: optional(5000, bytes),
});
export type AioRingEntry = Infer<typeof aioRingEntry>;

/** Address space; the addresses are those of prctl(PR_SET_MM). */
export const mmEntry = message('mm_entry', {
  mmStartCode: required(1, u64),
  mmEndCode: required(2, u64),
  mmStartData: required(3, u64),
  mmEndData: required(4, u64),
  mmStartStack: required(5, u64),
  mmStartBrk: required(6, u64),
  mmBrk: required(7, u64),
  mmArgStart: required(8, u64),
  mmArgEnd: required(9, u64),
  mmEnvStart: required(10, u64),
  mmEnvEnd: required(11, u64),
  /** file id */
  exeFileId: required(12, u32),
  mmSavedAuxv: repeated(13, u64),
  /** ascending addresses, guard pseudo-VMAs last */
  vmas: repeated(14, vmaEntry),
  dumpable: optional(15, i32),
  aios: repeated(16, aioRingEntry),
  thpDisabled: optional(17, bool),
  /** ours: flags of prctl(PR_SET_THP_DISABLE) */
  thpDisableFlags: optional(5000, u32),
  /** ours: prctl(PR_SET_MEMORY_MERGE) */
  memoryMerge: optional(5001, bool),
  /** ours: MCL_* of mlockall(2) for mappings to come */
  lockedToCome: optional(5002, u32),
  /** ours: bit n stands for pkey_alloc(2) n */
  protectionKeys: optional(5003, u32),
  /** ours: prctl(PR_SET_MDWE) */
  writeExecuteDenied: optional(5004, u32),
});
export type MmEntry = Infer<typeof mmEntry>;

/** First record of every pagemap. */
export const pagemapHead = message('pagemap_head', {
  /** N of pages-N.img */
  pagesId: required(1, u32),
});
export type PagemapHead = Infer<typeof pagemapHead>;

/** One run of pages, ascending. */
export const pagemapEntry = message('pagemap_entry', {
  vaddr: required(1, u64),
  /** count of old images; 0 today */
  compatNrPages: required(2, u32),
  inParent: optional(3, bool),
  /** PageFlag */
  flags: optional(4, u32),
  nrPages: optional(5, u64),
});
export type PagemapEntry = Infer<typeof pagemapEntry>;

/** A memfd or a piece of shared anonymous memory. */
export const memfdInodeEntry = message('memfd_inode_entry', {
  /** `/dev/zero` for shared anonymous memory */
  name: required(1, string),
  uid: required(2, u32),
  gid: required(3, u32),
  size: required(4, u64),
  /** N of pagemap-shmem-N.img */
  shmid: required(5, u32),
  seals: required(6, u32),
  inodeId: required(7, u64),
  hugetlbFlag: optional(8, u32),
  mode: optional(9, u32),
});
export type MemfdInodeEntry = Infer<typeof memfdInodeEntry>;
