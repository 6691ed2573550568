// Control groups: cgroup.img.
import {
  bool,
  type Infer,
  lazy,
  type Message,
  message,
  optional,
  repeated,
  required,
  string,
  u32,
} from '../codec.ts';

/** Place of a task in one controller. */
export const cgMemberEntry = message('cg_member_entry', {
  name: required(1, string),
  path: required(2, string),
  /** length of the part of `path` that is the cgroup namespace's root */
  cgnsPrefix: optional(3, u32),
});
export type CgMemberEntry = Infer<typeof cgMemberEntry>;

export const cgSetEntry = message('cg_set_entry', {
  /** what `cg_set` of a thread points at */
  id: required(1, u32),
  ctls: repeated(2, cgMemberEntry),
});
export type CgSetEntry = Infer<typeof cgSetEntry>;

export const cgroupPerms = message('cgroup_perms', {
  mode: required(1, u32),
  uid: required(2, u32),
  gid: required(3, u32),
});
export type CgroupPerms = Infer<typeof cgroupPerms>;

export const cgroupPropEntry = message('cgroup_prop_entry', {
  name: required(1, string),
  value: required(2, string),
  perms: optional(3, cgroupPerms),
});
export type CgroupPropEntry = Infer<typeof cgroupPropEntry>;

/** A directory of a controller. Spelt out because it holds itself. */
export interface CgroupDirEntry {
  readonly dirName: string;
  readonly children: readonly CgroupDirEntry[];
  readonly properties: readonly CgroupPropEntry[];
  readonly dirPerms?: CgroupPerms;
}
export const cgroupDirEntry: Message<CgroupDirEntry> = message('cgroup_dir_entry', {
  dirName: required(1, string),
  children: repeated(
    2,
    lazy('cgroup_dir_entry', () => cgroupDirEntry),
  ),
  properties: repeated(3, cgroupPropEntry),
  dirPerms: optional(4, cgroupPerms),
});

export const cgControllerEntry = message('cg_controller_entry', {
  cnames: repeated(1, string),
  dirs: repeated(2, cgroupDirEntry),
  isThreaded: optional(3, bool),
});
export type CgControllerEntry = Infer<typeof cgControllerEntry>;

export const cgroupEntry = message('cgroup_entry', {
  sets: repeated(1, cgSetEntry),
  controllers: repeated(2, cgControllerEntry),
});
export type CgroupEntry = Infer<typeof cgroupEntry>;
