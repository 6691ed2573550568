// Terminals: members of files.img, tty-info.img and tty-data.img.
import {
  bool,
  bytes,
  enumeration,
  type Infer,
  message,
  optional,
  repeated,
  required,
  u32,
} from '../codec.ts';
import { fownEntry } from './file-owner.ts';

export const ttyFileEntry = message('tty_file_entry', {
  id: required(1, u32),
  ttyInfoId: required(2, u32),
  flags: required(3, u32),
  fown: required(4, fownEntry),
  /** file id of the path */
  regfId: optional(6, u32),
  /** ours: 1 + the standard number whose terminal it was, outside of the tree */
  stdio: optional(5000, u32),
});
export type TtyFileEntry = Infer<typeof ttyFileEntry>;

export const termiosEntry = message('termios_entry', {
  cIflag: required(1, u32),
  cOflag: required(2, u32),
  cCflag: required(3, u32),
  cLflag: required(4, u32),
  cLine: required(5, u32),
  cIspeed: required(6, u32),
  cOspeed: required(7, u32),
  cCc: repeated(8, u32),
});
export type TermiosEntry = Infer<typeof termiosEntry>;

export const winsizeEntry = message('winsize_entry', {
  wsRow: required(1, u32),
  wsCol: required(2, u32),
  wsXpixel: required(3, u32),
  wsYpixel: required(4, u32),
});
export type WinsizeEntry = Infer<typeof winsizeEntry>;

export const ttyPtyEntry = message('tty_pty_entry', { index: required(1, u32) });
export type TtyPtyEntry = Infer<typeof ttyPtyEntry>;

export const ttyInfoEntry = message('tty_info_entry', {
  id: required(1, u32),
  /** TtyType */
  type: required(2, enumeration),
  locked: required(3, bool),
  exclusive: required(4, bool),
  packetMode: required(5, bool),
  sid: required(6, u32),
  pgrp: required(7, u32),
  rdev: required(8, u32),
  termios: optional(9, termiosEntry),
  termiosLocked: optional(10, termiosEntry),
  winsize: optional(11, winsizeEntry),
  pty: optional(12, ttyPtyEntry),
  dev: optional(13, u32),
  uid: optional(14, u32),
  gid: optional(15, u32),
});
export type TtyInfoEntry = Infer<typeof ttyInfoEntry>;

export const ttyDataEntry = message('tty_data_entry', {
  ttyId: required(1, u32),
  data: required(2, bytes),
});
export type TtyDataEntry = Infer<typeof ttyDataEntry>;
