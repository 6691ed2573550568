// Namespaces of processes: utsns-, timens-, userns-, pidns-NSID.img; the times that other messages hold.
import { type Infer, message, optional, repeated, required, string, u32, u64 } from '../codec.ts';

export const utsnsEntry = message('utsns_entry', {
  nodename: required(1, string),
  domainname: required(2, string),
});
export type UtsnsEntry = Infer<typeof utsnsEntry>;

export const timespec = message('timespec', { tvSec: required(1, u64), tvNsec: required(2, u64) });
export type Timespec = Infer<typeof timespec>;

export const timeval = message('timeval', { tvSec: required(1, u64), tvUsec: required(2, u64) });
export type Timeval = Infer<typeof timeval>;

/** Clocks of the namespace at the dump. */
export const timensEntry = message('timens_entry', {
  monotonic: required(1, timespec),
  boottime: required(2, timespec),
});
export type TimensEntry = Infer<typeof timensEntry>;

export const uidGidExtent = message('uid_gid_extent', {
  first: required(1, u32),
  lowerFirst: required(2, u32),
  count: required(3, u32),
});
export type UidGidExtent = Infer<typeof uidGidExtent>;

export const usernsEntry = message('userns_entry', {
  uidMap: repeated(1, uidGidExtent),
  gidMap: repeated(2, uidGidExtent),
});
export type UsernsEntry = Infer<typeof usernsEntry>;

export const pidnsEntry = message('pidns_entry', { extKey: optional(1, string) });
export type PidnsEntry = Infer<typeof pidnsEntry>;
