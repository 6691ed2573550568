// x86-64 part of core-TID.img: registers, floating point state, TLS slots.
import {
  bool,
  enumeration,
  type Infer,
  message,
  optional,
  repeated,
  required,
  u32,
  u64,
} from '../codec.ts';

/** General registers, after the fix-up of interrupted system calls. */
export const userX86RegsEntry = message('user_x86_regs_entry', {
  r15: required(1, u64),
  r14: required(2, u64),
  r13: required(3, u64),
  r12: required(4, u64),
  bp: required(5, u64),
  bx: required(6, u64),
  r11: required(7, u64),
  r10: required(8, u64),
  r9: required(9, u64),
  r8: required(10, u64),
  ax: required(11, u64),
  cx: required(12, u64),
  dx: required(13, u64),
  si: required(14, u64),
  di: required(15, u64),
  origAx: required(16, u64),
  ip: required(17, u64),
  cs: required(18, u64),
  flags: required(19, u64),
  sp: required(20, u64),
  ss: required(21, u64),
  fsBase: required(22, u64),
  gsBase: required(23, u64),
  ds: required(24, u64),
  es: required(25, u64),
  fs: required(26, u64),
  gs: required(27, u64),
  /** RegsMode; absent stands for NATIVE */
  mode: optional(28, enumeration),
});
export type UserX86RegsEntry = Infer<typeof userX86RegsEntry>;

export const userX86CetEntry = message('user_x86_cet_entry', {
  cet: required(1, u64),
  /** shadow stack pointer */
  ssp: required(2, u64),
});
export type UserX86CetEntry = Infer<typeof userX86CetEntry>;

/** Extended state by component; lengths in words. */
export const userX86XsaveEntry = message('user_x86_xsave_entry', {
  xstateBv: required(1, u64),
  /** 64 */
  ymmhSpace: repeated(2, u32),
  bndregState: repeated(3, u64),
  bndcsrState: repeated(4, u64),
  /** 8 */
  opmaskReg: repeated(5, u64),
  /** 64 */
  zmmUpper: repeated(6, u64),
  /** 128 */
  hi16Zmm: repeated(7, u64),
  /** 2 */
  pkru: repeated(8, u32),
  cet: optional(9, userX86CetEntry),
});
export type UserX86XsaveEntry = Infer<typeof userX86XsaveEntry>;

/** The FXSAVE area, and what lies behind it. */
export const userX86FpregsEntry = message('user_x86_fpregs_entry', {
  cwd: required(1, u32),
  swd: required(2, u32),
  /** abridged tag byte */
  twd: required(3, u32),
  fop: required(4, u32),
  rip: required(5, u64),
  rdp: required(6, u64),
  mxcsr: required(7, u32),
  mxcsrMask: required(8, u32),
  /** exactly 32 words */
  stSpace: repeated(9, u32),
  /** exactly 64 words */
  xmmSpace: repeated(10, u32),
  padding: repeated(11, u32),
  xsave: optional(13, userX86XsaveEntry),
});
export type UserX86FpregsEntry = Infer<typeof userX86FpregsEntry>;

/** One TLS slot of the GDT, set_thread_area(2). */
export const userDescT = message('user_desc_t', {
  entryNumber: required(1, u32),
  baseAddr: required(2, u32),
  limit: required(3, u32),
  seg32bit: required(4, bool),
  contentsH: required(5, bool),
  contentsL: required(6, bool),
  readExecOnly: required(7, bool),
  limitInPages: required(8, bool),
  segNotPresent: required(9, bool),
  usable: required(10, bool),
});
export type UserDescT = Infer<typeof userDescT>;

export const threadInfoX86 = message('thread_info_x86', {
  /** set_tid_address(2) */
  clearTidAddr: required(1, u64),
  gpregs: required(2, userX86RegsEntry),
  fpregs: required(3, userX86FpregsEntry),
  tls: repeated(4, userDescT),
});
export type ThreadInfoX86 = Infer<typeof threadInfoX86>;
