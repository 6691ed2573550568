// Descriptors and files: fdinfo-ID.img, files.img, fs-PID.img, ghost-file-ID.img, remap-fpath.img, filelocks.img.
import {
  bool,
  enumeration,
  i32,
  i64,
  type Infer,
  message,
  optional,
  repeated,
  required,
  sint32,
  string,
  u32,
  u64,
} from '../codec.ts';
import {
  eventfdFileEntry,
  eventpollFileEntry,
  fanotifyFileEntry,
  inotifyFileEntry,
  signalfdEntry,
  timerfdEntry,
} from './events.ts';
import { fownEntry } from './file-owner.ts';
import { timeval } from './namespaces.ts';
import { fifoEntry, pipeEntry } from './pipes.ts';
import { inetSkEntry, netlinkSkEntry, packetSockEntry, unixSkEntry } from './sockets.ts';
import { ttyFileEntry } from './terminals.ts';
import { bpfmapFileEntry, tunfileEntry } from './tun-bpf.ts';

/** One descriptor of one fd table. */
export const fdinfoEntry = message('fdinfo_entry', {
  /** file id, shared by every duplicate */
  id: required(1, u32),
  /** FD_CLOEXEC */
  flags: required(2, u32),
  /** FdType */
  type: required(3, enumeration),
  fd: required(4, u32),
  xattrSecuritySelinux: optional(5, string),
});
export type FdinfoEntry = Infer<typeof fdinfoEntry>;

export const regFileEntry = message('reg_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  /** 2^64 - 1 = leave alone */
  pos: required(3, u64),
  fown: required(5, fownEntry),
  name: required(6, string),
  /** absent stands for -1 */
  mntId: optional(7, sint32),
  /** of regular files; must be the file's size on restore */
  size: optional(8, u64),
  ext: optional(9, bool),
  /** st_mode; must be the file's mode on restore */
  mode: optional(10, u32),
  buildId: repeated(11, u32),
  checksum: optional(12, u32),
  checksumConfig: optional(13, u32),
  checksumParameter: optional(14, u32),
});
export type RegFileEntry = Infer<typeof regFileEntry>;

export const extFileEntry = message('ext_file_entry', {
  id: required(1, u32),
  fown: required(5, fownEntry),
});
export type ExtFileEntry = Infer<typeof extFileEntry>;

export const nsFileEntry = message('ns_file_entry', {
  id: required(1, u32),
  nsId: required(2, u32),
  /** CLONE_NEW* */
  nsCflag: required(3, u32),
  flags: required(4, u32),
});
export type NsFileEntry = Infer<typeof nsFileEntry>;

export const memfdFileEntry = message('memfd_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  pos: required(3, u64),
  fown: required(4, fownEntry),
  /** of a memfd_inode_entry */
  inodeId: required(5, u32),
});
export type MemfdFileEntry = Infer<typeof memfdFileEntry>;

export const pidfdEntry = message('pidfd_entry', {
  id: required(1, u32),
  ino: required(2, u32),
  flags: required(3, u32),
  /** -1 = the process is gone */
  nspid: required(4, i32),
  fown: required(5, fownEntry),
});
export type PidfdEntry = Infer<typeof pidfdEntry>;

/** One open file: exactly one of the members behind `id` is set. */
export const fileEntry = message('file_entry', {
  /** FdType */
  type: required(1, enumeration),
  id: required(2, u32),
  reg: optional(3, regFileEntry),
  isk: optional(4, inetSkEntry),
  nsf: optional(5, nsFileEntry),
  psk: optional(6, packetSockEntry),
  nlsk: optional(7, netlinkSkEntry),
  efd: optional(8, eventfdFileEntry),
  epfd: optional(9, eventpollFileEntry),
  sgfd: optional(10, signalfdEntry),
  tunf: optional(11, tunfileEntry),
  tfd: optional(12, timerfdEntry),
  ify: optional(13, inotifyFileEntry),
  ffy: optional(14, fanotifyFileEntry),
  ext: optional(15, extFileEntry),
  usk: optional(16, unixSkEntry),
  fifo: optional(17, fifoEntry),
  pipe: optional(18, pipeEntry),
  tty: optional(19, ttyFileEntry),
  memfd: optional(20, memfdFileEntry),
  bpf: optional(21, bpfmapFileEntry),
  pidfd: optional(22, pidfdEntry),
});
export type FileEntry = Infer<typeof fileEntry>;

/** Working directory, root and umask of a process. */
export const fsEntry = message('fs_entry', {
  /** file ids */
  cwdId: required(1, u32),
  rootId: required(2, u32),
  umask: optional(3, u32),
});
export type FsEntry = Infer<typeof fsEntry>;

/** A file that no path leads to any more. Its content follows raw, or as chunks. */
export const ghostFileEntry = message('ghost_file_entry', {
  uid: required(1, u32),
  gid: required(2, u32),
  mode: required(3, u32),
  dev: optional(4, u32),
  ino: optional(5, u64),
  rdev: optional(6, u32),
  atim: optional(7, timeval),
  mtim: optional(8, timeval),
  /** true: ghost_chunk_entry records follow */
  chunks: optional(9, bool),
  size: optional(10, u64),
  symlnkTarget: optional(11, string),
});
export type GhostFileEntry = Infer<typeof ghostFileEntry>;

/** Payload: `len` bytes of the file at `off`. */
export const ghostChunkEntry = message('ghost_chunk_entry', {
  len: required(1, u64),
  off: required(2, u64),
});
export type GhostChunkEntry = Infer<typeof ghostChunkEntry>;

export const remapFilePathEntry = message('remap_file_path_entry', {
  /** file id */
  origId: required(1, u32),
  /** ghost id, file id of the link or pid of the helper */
  remapId: required(2, u32),
  /** RemapType */
  remapType: optional(3, enumeration),
  /** of a ghost: its name stays after the restore */
  keepsName: optional(5000, bool),
});
export type RemapFilePathEntry = Infer<typeof remapFilePathEntry>;

export const fileLockEntry = message('file_lock_entry', {
  /** LockKind */
  flag: required(1, u32),
  /** F_RDLCK, F_WRLCK, F_UNLCK */
  type: required(2, u32),
  pid: required(3, i32),
  fd: required(4, i32),
  start: required(5, i64),
  /** 0 = to the end of the file */
  len: required(6, i64),
});
export type FileLockEntry = Infer<typeof fileLockEntry>;
