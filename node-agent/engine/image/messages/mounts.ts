// Mount namespaces: mountpoints-NSID.img, binfmt-misc.img, autofs-MNTID.img.
import { bool, i32, type Infer, message, optional, required, string, u32 } from '../codec.ts';

export const mntEntry = message('mnt_entry', {
  /** FsType */
  fstype: required(1, u32),
  mntId: required(2, u32),
  rootDev: required(3, u32),
  parentMntId: required(4, u32),
  flags: required(5, u32),
  root: required(6, string),
  mountpoint: required(7, string),
  source: required(8, string),
  options: required(9, string),
  sharedId: optional(10, u32),
  masterId: optional(11, u32),
  withPlugin: optional(12, bool),
  extMount: optional(13, bool),
  fsname: optional(14, string),
  internalSharing: optional(15, bool),
  deleted: optional(16, bool),
  sbFlags: optional(17, u32),
  extKey: optional(18, string),
});
export type MntEntry = Infer<typeof mntEntry>;

export const binfmtMiscEntry = message('binfmt_misc_entry', {
  name: required(1, string),
  enabled: required(2, bool),
  interpreter: required(3, string),
  flags: optional(4, string),
  extension: optional(5, string),
  magic: optional(6, string),
  mask: optional(7, string),
  offset: optional(8, i32),
});
export type BinfmtMiscEntry = Infer<typeof binfmtMiscEntry>;

export const autofsEntry = message('autofs_entry', {
  fd: required(1, i32),
  pgrp: required(2, i32),
  timeout: required(3, i32),
  minproto: required(4, i32),
  maxproto: required(5, i32),
  mode: required(6, i32),
  uid: optional(7, i32),
  gid: optional(8, i32),
  readFd: optional(9, i32),
});
export type AutofsEntry = Infer<typeof autofsEntry>;
