// Credentials of a thread, in core-TID.img and the old creds-PID.img.
import { bytes, type Infer, message, optional, repeated, required, string, u32 } from '../codec.ts';

/** Each capability set is two words, low first. */
export const credsEntry = message('creds_entry', {
  uid: required(1, u32),
  gid: required(2, u32),
  euid: required(3, u32),
  egid: required(4, u32),
  suid: required(5, u32),
  sgid: required(6, u32),
  fsuid: required(7, u32),
  fsgid: required(8, u32),
  capInh: repeated(9, u32),
  capPrm: repeated(10, u32),
  capEff: repeated(11, u32),
  capBnd: repeated(12, u32),
  secbits: required(13, u32),
  groups: repeated(14, u32),
  /** `type:label` */
  lsmProfile: optional(15, string),
  lsmSockcreate: optional(16, string),
  apparmorData: optional(17, bytes),
  noNewPrivs: optional(18, u32),
  capAmb: repeated(19, u32),
});
export type CredsEntry = Infer<typeof credsEntry>;
