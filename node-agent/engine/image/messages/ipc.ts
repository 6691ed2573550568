// System V IPC of a namespace: ipcns-var-, ipcns-shm-, ipcns-msg-, ipcns-sem-NSID.img.
import { bool, type Infer, message, optional, repeated, required, u32, u64 } from '../codec.ts';

/** sysctls of the namespace. */
export const ipcVarEntry = message('ipc_var_entry', {
  /** 4 values */
  semCtls: repeated(1, u32),
  msgCtlmax: required(2, u32),
  msgCtlmnb: required(3, u32),
  msgCtlmni: required(4, u32),
  autoMsgmni: required(5, u32),
  shmCtlmax: required(6, u64),
  shmCtlall: required(7, u64),
  shmCtlmni: required(8, u32),
  shmRmidForced: required(9, u32),
  mqQueuesMax: required(10, u32),
  mqMsgMax: required(11, u32),
  mqMsgsizeMax: required(12, u32),
  mqMsgDefault: optional(13, u32),
  mqMsgsizeDefault: optional(14, u32),
  msgNextId: optional(15, u32),
  semNextId: optional(16, u32),
  shmNextId: optional(17, u32),
});
export type IpcVarEntry = Infer<typeof ipcVarEntry>;

export const ipcDescEntry = message('ipc_desc_entry', {
  key: required(1, u32),
  uid: required(2, u32),
  gid: required(3, u32),
  cuid: required(4, u32),
  cgid: required(5, u32),
  mode: required(6, u32),
  id: required(7, u32),
});
export type IpcDescEntry = Infer<typeof ipcDescEntry>;

/** Payload unless `inPagemaps`: the segment, padded to 4 bytes. */
export const ipcShmEntry = message('ipc_shm_entry', {
  desc: required(1, ipcDescEntry),
  size: required(2, u64),
  inPagemaps: optional(3, bool),
  hugetlbFlag: optional(4, u32),
});
export type IpcShmEntry = Infer<typeof ipcShmEntry>;

/** Followed by `qnum` ipc_msg records, each with its text padded to 8 bytes. */
export const ipcMsgEntry = message('ipc_msg_entry', {
  desc: required(1, ipcDescEntry),
  qbytes: required(2, u32),
  qnum: required(3, u32),
});
export type IpcMsgEntry = Infer<typeof ipcMsgEntry>;

export const ipcMsg = message('ipc_msg', { mtype: required(1, u64), msize: required(2, u32) });
export type IpcMsg = Infer<typeof ipcMsg>;

/** Payload: `nsems` values of 16 bits, padded to 8 bytes. */
export const ipcSemEntry = message('ipc_sem_entry', {
  desc: required(1, ipcDescEntry),
  nsems: required(2, u32),
});
export type IpcSemEntry = Infer<typeof ipcSemEntry>;
