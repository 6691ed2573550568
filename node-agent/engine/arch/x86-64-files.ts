// System call numbers that only the rootfs difference needs (arch/x86/entry/syscalls/syscall_64.tbl).

export const FILE_SYS = {
  lseek: 8,
  lsetxattr: 189,
  lgetxattr: 192,
  llistxattr: 195,
  lremovexattr: 198,
  mknodat: 259,
  unshare: 272,
  utimensat: 280,
  setns: 308,
  open_tree: 428,
  openat2: 437,
  mount_setattr: 442,
} as const;
