// What a dump or restore took and did, and what it found out: stats-dump, stats-restore, irmap-cache, cpuinfo.img.
import {
  enumeration,
  type Infer,
  message,
  optional,
  repeated,
  required,
  string,
  u32,
  u64,
} from '../codec.ts';

/** Times in microseconds, counts in pages. */
export const dumpStatsEntry = message('dump_stats_entry', {
  freezingTime: required(1, u32),
  frozenTime: required(2, u32),
  memdumpTime: required(3, u32),
  memwriteTime: required(4, u32),
  pagesScanned: required(5, u64),
  pagesSkippedParent: required(6, u64),
  /** with `shpagesWritten` exactly the pages in all pages-N.img */
  pagesWritten: required(7, u64),
  irmapResolve: optional(8, u32),
  pagesLazy: required(9, u64),
  pagePipes: optional(10, u64),
  pagePipeBufs: optional(11, u64),
  shpagesScanned: optional(12, u64),
  shpagesSkippedParent: optional(13, u64),
  shpagesWritten: optional(14, u64),
});
export type DumpStatsEntry = Infer<typeof dumpStatsEntry>;

export const restoreStatsEntry = message('restore_stats_entry', {
  pagesCompared: required(1, u64),
  pagesSkippedCow: required(2, u64),
  forkingTime: required(3, u32),
  restoreTime: required(4, u32),
  pagesRestored: optional(5, u64),
});
export type RestoreStatsEntry = Infer<typeof restoreStatsEntry>;

export const statsEntry = message('stats_entry', {
  dump: optional(1, dumpStatsEntry),
  restore: optional(2, restoreStatsEntry),
});
export type StatsEntry = Infer<typeof statsEntry>;

export const irmapCacheEntry = message('irmap_cache_entry', {
  dev: required(1, u32),
  inode: required(2, u64),
  path: required(3, string),
});
export type IrmapCacheEntry = Infer<typeof irmapCacheEntry>;

export const cpuinfoX86Entry = message('cpuinfo_x86_entry', {
  vendorId: required(1, enumeration),
  cpuFamily: required(2, u32),
  model: required(3, u32),
  stepping: required(4, u32),
  capabilityVer: required(5, u32),
  capability: repeated(6, u32),
  modelId: optional(7, string),
  xfeaturesMask: optional(8, u64),
  xsaveSize: optional(9, u32),
  xsaveSizeMax: optional(10, u32),
});
export type CpuinfoX86Entry = Infer<typeof cpuinfoX86Entry>;

export const cpuinfoEntry = message('cpuinfo_entry', { x86Entry: repeated(1, cpuinfoX86Entry) });
export type CpuinfoEntry = Infer<typeof cpuinfoEntry>;
