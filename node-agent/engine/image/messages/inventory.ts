// Messages of inventory.img, pstree.img and ids-PID.img.
import {
  bool,
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

/** Ids of kernel objects: equal ids in two tasks mean a shared object. */
export const taskKobjIdsEntry = message('task_kobj_ids_entry', {
  vmId: required(1, u32),
  /** also the suffix of fdinfo-ID.img */
  filesId: required(2, u32),
  fsId: required(3, u32),
  sighandId: required(4, u32),
  pidNsId: optional(5, u32),
  netNsId: optional(6, u32),
  ipcNsId: optional(7, u32),
  utsNsId: optional(8, u32),
  mntNsId: optional(9, u32),
  userNsId: optional(10, u32),
  cgroupNsId: optional(11, u32),
  timeNsId: optional(12, u32),
});
export type TaskKobjIdsEntry = Infer<typeof taskKobjIdsEntry>;

export const pluginsEntry = message('plugins_entry', { plugins: repeated(12, string) });
export type PluginsEntry = Infer<typeof pluginsEntry>;

export const inventoryEntry = message('inventory_entry', {
  /** 2 stands for files that begin with the common magic */
  imgVersion: required(1, u32),
  fdinfoPerId: optional(2, bool),
  /** ids of the dumper itself; a task with other namespaces gets its own */
  rootIds: optional(3, taskKobjIdsEntry),
  nsPerId: optional(4, bool),
  rootCgSet: optional(5, u32),
  lsmtype: optional(6, enumeration),
  /** microseconds */
  dumpUptime: optional(8, u64),
  preDumpMode: optional(9, u32),
  tcpClose: optional(10, bool),
  networkLockMethod: optional(11, u32),
  pluginsEntry: optional(12, pluginsEntry),
  dumpCriuRunId: optional(13, string),
  allowUprobes: optional(14, bool),
  /** ours: name and version of the engine that wrote the images */
  engine: optional(5000, string),
  /** ours: JSON of the protocol's `Requirements` */
  requirementsJson: optional(5001, string),
  /** ours: CLOCK_MONOTONIC of the application at the freeze */
  monotonicNs: optional(5002, u64),
  /** ours: CLOCK_BOOTTIME of the application at the freeze */
  boottimeNs: optional(5003, u64),
});
export type InventoryEntry = Infer<typeof inventoryEntry>;

/** One process, parents before children. */
export const pstreeEntry = message('pstree_entry', {
  pid: required(1, u32),
  /** 0 marks the root */
  ppid: required(2, u32),
  pgid: required(3, u32),
  sid: required(4, u32),
  /** the leader first */
  threads: repeated(5, u32),
});
export type PstreeEntry = Infer<typeof pstreeEntry>;
