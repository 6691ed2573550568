// F_SETOWN state of an open file: a part of most file messages.
import { type Infer, message, required, u32 } from '../codec.ts';

export const fownEntry = message('fown_entry', {
  uid: required(1, u32),
  euid: required(2, u32),
  /** F_SETSIG */
  signum: required(3, u32),
  /** OwnerType */
  pidType: required(4, u32),
  pid: required(5, u32),
});
export type FownEntry = Infer<typeof fownEntry>;
