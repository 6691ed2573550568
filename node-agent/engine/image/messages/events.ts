// Descriptors that tell events: eventfd, epoll, signalfd, timerfd, inotify, fanotify; members of files.img.
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
import { fownEntry } from './file-owner.ts';

export const eventfdFileEntry = message('eventfd_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(3, fownEntry),
  counter: required(4, u64),
  /** ours: EFD_SEMAPHORE */
  semaphore: optional(5000, bool),
});
export type EventfdFileEntry = Infer<typeof eventfdFileEntry>;

/** One watched descriptor. */
export const eventpollTfdEntry = message('eventpoll_tfd_entry', {
  id: required(1, u32),
  /** descriptor number when it was added */
  tfd: required(2, u32),
  events: required(3, u32),
  data: required(4, u64),
  dev: optional(5, u32),
  inode: optional(6, u64),
  pos: optional(7, u64),
  /** ours: descriptor number when it was added, where `tfd` is another one that leads to the same file today */
  addedAs: optional(5000, u32),
  /** ours: file id of the target */
  targetId: optional(5001, u32),
});
export type EventpollTfdEntry = Infer<typeof eventpollTfdEntry>;

export const eventpollFileEntry = message('eventpoll_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(3, fownEntry),
  tfd: repeated(4, eventpollTfdEntry),
});
export type EventpollFileEntry = Infer<typeof eventpollFileEntry>;

export const signalfdEntry = message('signalfd_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(3, fownEntry),
  sigmask: required(4, u64),
});
export type SignalfdEntry = Infer<typeof signalfdEntry>;

export const timerfdEntry = message('timerfd_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(3, fownEntry),
  clockid: required(4, u32),
  /** expirations that were not read yet */
  ticks: required(5, u64),
  /** TFD_TIMER_ABSTIME */
  settimeFlags: required(6, u32),
  /** remaining time, also of absolute timers */
  vsec: required(7, u64),
  vnsec: required(8, u64),
  isec: required(9, u64),
  insec: required(10, u64),
  /** ours: when an absolute timer expires, nanoseconds of its clock as the application reads it */
  deadlineNs: optional(5000, u64),
});
export type TimerfdEntry = Infer<typeof timerfdEntry>;

/** File handle, open_by_handle_at(2). */
export const fhEntry = message('fh_entry', {
  bytes: required(1, u32),
  type: required(2, u32),
  /** exactly 16 words */
  handle: repeated(3, u64),
  path: optional(4, string),
  mntId: optional(5, u32),
});
export type FhEntry = Infer<typeof fhEntry>;

export const inotifyWdEntry = message('inotify_wd_entry', {
  id: required(1, u32),
  iIno: required(2, u64),
  mask: required(3, u32),
  ignoredMask: required(4, u32),
  sDev: required(5, u32),
  /** watch descriptor, which the application knows */
  wd: required(6, u32),
  fHandle: required(7, fhEntry),
  /** ours: what it watches has no name; the file id of an opening of it */
  fileId: optional(5000, u32),
});
export type InotifyWdEntry = Infer<typeof inotifyWdEntry>;

export const inotifyFileEntry = message('inotify_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(4, fownEntry),
  wd: repeated(5, inotifyWdEntry),
});
export type InotifyFileEntry = Infer<typeof inotifyFileEntry>;

export const fanotifyInodeMarkEntry = message('fanotify_inode_mark_entry', {
  iIno: required(1, u64),
  fHandle: required(2, fhEntry),
});
export type FanotifyInodeMarkEntry = Infer<typeof fanotifyInodeMarkEntry>;

export const fanotifyMountMarkEntry = message('fanotify_mount_mark_entry', {
  mntId: required(1, u32),
  path: optional(2, string),
});
export type FanotifyMountMarkEntry = Infer<typeof fanotifyMountMarkEntry>;

export const fanotifyMarkEntry = message('fanotify_mark_entry', {
  id: required(1, u32),
  /** MarkType */
  type: required(2, enumeration),
  mflags: required(3, u32),
  mask: required(4, u32),
  ignoredMask: required(5, u32),
  sDev: required(6, u32),
  ie: optional(7, fanotifyInodeMarkEntry),
  me: optional(8, fanotifyMountMarkEntry),
  /** ours: what is marked has no name; the file id of an opening of it */
  fileId: optional(5000, u32),
});
export type FanotifyMarkEntry = Infer<typeof fanotifyMarkEntry>;

export const fanotifyFileEntry = message('fanotify_file_entry', {
  id: required(1, u32),
  flags: required(2, u32),
  fown: required(3, fownEntry),
  faflags: required(4, u32),
  evflags: required(5, u32),
  mark: repeated(6, fanotifyMarkEntry),
});
export type FanotifyFileEntry = Infer<typeof fanotifyFileEntry>;
