// Enumerations and flag words of CRIU 4.2's images.

/** CPU architecture, `core_entry.mtype`. */
export const March = {
  UNKNOWN: 0,
  X86_64: 1,
  ARM: 2,
  AARCH64: 3,
  PPC64: 4,
  S390: 5,
  MIPS: 6,
  LOONGARCH64: 7,
  RISCV64: 8,
} as const;

/** `task_core_entry.task_state` */
export const TaskState = { ALIVE: 1, DEAD: 2, STOPPED: 3 } as const;

/** `user_x86_regs_entry.mode`: 64-bit or 32-bit task. */
export const RegsMode = { NATIVE: 1, COMPAT: 2 } as const;

export const SeccompMode = { DISABLED: 0, STRICT: 1, FILTER: 2 } as const;

/** `inventory_entry.lsmtype` */
export const LsmType = { NO_LSM: 0, SELINUX: 1, APPARMOR: 2 } as const;

/** `inventory_entry.network_lock_method`; absent stands for IPTABLES. */
export const NetworkLock = { IPTABLES: 0, NFTABLES: 1, SKIP: 2 } as const;

/** Kind of an open file, `fdinfo_entry.type` and `file_entry.type`. */
export const FdType = {
  UND: 0,
  REG: 1,
  PIPE: 2,
  FIFO: 3,
  INETSK: 4,
  UNIXSK: 5,
  EVENTFD: 6,
  EVENTPOLL: 7,
  INOTIFY: 8,
  SIGNALFD: 9,
  PACKETSK: 10,
  TTY: 11,
  FANOTIFY: 12,
  NETLINKSK: 13,
  NS: 14,
  TUNF: 15,
  EXT: 16,
  TIMERFD: 17,
  MEMFD: 18,
  BPFMAP: 19,
  PIDFD: 20,
} as const;

/** Bits of `vma_entry.status`. */
export const VmaStatus = {
  REGULAR: 1 << 0,
  STACK: 1 << 1,
  VSYSCALL: 1 << 2,
  VDSO: 1 << 3,
  HEAP: 1 << 5,
  FILE_PRIVATE: 1 << 6,
  FILE_SHARED: 1 << 7,
  ANON_SHARED: 1 << 8,
  ANON_PRIVATE: 1 << 9,
  SYSVIPC: 1 << 10,
  SOCKET: 1 << 11,
  VVAR: 1 << 12,
  AIORING: 1 << 13,
  MEMFD: 1 << 14,
  SHSTK: 1 << 15,
  GUARD: 1 << 16,
  UPROBES: 1 << 17,
  EXT_PLUGIN: 1 << 27,
} as const;

/** Bits of `pagemap_entry.flags`. */
export const PageFlag = {
  /** data lies in the parent images */
  PARENT: 1 << 0,
  /** may be faulted in after the restore */
  LAZY: 1 << 1,
  /** data lies in pages-N.img */
  PRESENT: 1 << 2,
} as const;

/** `remap_file_path_entry.remap_type` */
export const RemapType = { LINKED: 0, GHOST: 1, PROCFS: 2 } as const;

/** `file_lock_entry.flag` */
export const LockKind = { POSIX: 1, FLOCK: 2, OFD: 4, LEASE: 8 } as const;

/** `fown_entry.pid_type`, as F_SETOWN_EX numbers them */
export const OwnerType = { TID: 0, PID: 1, PGRP: 2 } as const;

/** `fanotify_mark_entry.type` */
export const MarkType = { INODE: 1, MOUNT: 2 } as const;

/** `unix_sk_entry.state`; the TCP_* numbers of the kernel */
export const UnixState = { ESTABLISHED: 1, CLOSE: 7, LISTEN: 10 } as const;

/** Bits of `unix_sk_entry.uflags`. */
export const UnixFlag = { EXTERN: 1, SERVICE: 2, CALLBACK: 4, INHERIT: 8 } as const;

/** `unix_sk_entry.shutdown`, `inet_sk_entry.shutdown` */
export const SkShutdown = { NONE: 0, READ: 1, WRITE: 2, BOTH: 3 } as const;

/** `scm_entry.type` */
export const ScmType = { RIGHTS: 1 } as const;

/** `tty_info_entry.type` */
export const TtyType = {
  UNKNOWN: 0,
  PTY: 1,
  CONSOLE: 2,
  VT: 3,
  CTTY: 4,
  EXT_TTY: 5,
  SERIAL: 6,
} as const;

/** `sysctl_entry.type` */
export const SysctlType = { STR: 5, INT32: 6 } as const;

/** `net_device_entry.type` */
export const NetDeviceType = {
  LOOPBACK: 1,
  VETH: 2,
  TUN: 3,
  EXTLINK: 4,
  VENET: 5,
  BRIDGE: 6,
  MACVLAN: 7,
  SIT: 8,
} as const;

/** `mnt_entry.fstype` */
export const FsType = {
  UNSUPPORTED: 0,
  PROC: 1,
  SYSFS: 2,
  DEVTMPFS: 3,
  BINFMT_MISC: 4,
  TMPFS: 5,
  DEVPTS: 6,
  SIMFS: 7,
  PSTORE: 8,
  SECURITYFS: 9,
  FUSECTL: 10,
  DEBUGFS: 11,
  CGROUP: 12,
  AUFS: 13,
  MQUEUE: 14,
  FUSE: 15,
  AUTO: 16,
  OVERLAYFS: 17,
  AUTOFS: 18,
  TRACEFS: 19,
  CGROUP2: 23,
} as const;
