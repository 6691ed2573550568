// Messages of core-TID.img: one `core_entry` a thread, the leader's with the state of the whole process in `tc`.
import {
  bool,
  bytes,
  enumeration,
  i32,
  type Infer,
  message,
  optional,
  repeated,
  required,
  sint32,
  string,
  u32,
  u64,
} from '../codec.ts';
import { threadInfoX86 } from './core-x86.ts';
import { credsEntry } from './creds.ts';
import { taskKobjIdsEntry } from './inventory.ts';
import { memoryPolicyEntry } from './memory.ts';
import { saEntry, signalQueueEntry, taskTimersEntry, threadSasEntry } from './signals.ts';

/** One resource limit; 2^64 - 1 is infinity. */
export const rlimitEntry = message('rlimit_entry', {
  cur: required(1, u64),
  max: required(2, u64),
});
export type RlimitEntry = Infer<typeof rlimitEntry>;

/** 16 limits in the order of RLIMIT_*. */
export const taskRlimitsEntry = message('task_rlimits_entry', {
  rlimits: repeated(1, rlimitEntry),
});
export type TaskRlimitsEntry = Infer<typeof taskRlimitsEntry>;

/** Registration of rseq(2); absent from the core = not registered. */
export const rseqEntry = message('rseq_entry', {
  rseqAbiPointer: required(1, u64),
  rseqAbiSize: required(2, u32),
  signature: required(3, u32),
  /** only of a critical section that a signal does not restart */
  rseqCsPointer: optional(4, u64),
});
export type RseqEntry = Infer<typeof rseqEntry>;

export const taskCoreEntry = message('task_core_entry', {
  /** TaskState */
  taskState: required(1, u32),
  /** wait status of a zombie, otherwise 0 */
  exitCode: required(2, u32),
  /** /proc/PID/personality parsed as decimal although it is hexadecimal: CRIU's way */
  personality: required(3, u32),
  flags: required(4, u32),
  /** of the leader; bit n - 1 stands for signal n */
  blkSigset: required(5, u64),
  comm: required(6, string),
  timers: optional(7, taskTimersEntry),
  rlimits: optional(8, taskRlimitsEntry),
  cgSet: optional(9, u32),
  signalsS: optional(10, signalQueueEntry),
  oldSeccompMode: optional(11, enumeration),
  oldSeccompFilter: optional(12, u32),
  loginuid: optional(13, u32),
  oomScoreAdj: optional(14, i32),
  /** exactly 62: signals 1 to 64 without SIGKILL and SIGSTOP */
  sigactions: repeated(15, saEntry),
  childSubreaper: optional(18, bool),
  blkSigsetExtended: optional(20, u64),
  /** with STOPPED: the signal that stopped it */
  stopSigno: optional(21, u32),
  /** bits of MEMBARRIER_CMD_REGISTER_* */
  membarrierRegistrationMask: optional(22, u32),
  /** ours: all 8 bits of a zombie's exit code */
  exitStatus: optional(5000, u32),
  /** ours: /proc/PID/coredump_filter */
  coredumpFilter: optional(5001, u32),
  /** ours: the personality as personality(2) knows it */
  personalityExact: optional(5002, u32),
  /** ours, with STOPPED: its parent has asked for the stop already */
  stopHeard: optional(5003, bool),
});
export type TaskCoreEntry = Infer<typeof taskCoreEntry>;

/** Ours: what prctl(2) or arch_prctl(2) set for a thread, and no field of CRIU's holds. */
export const threadSwitchEntry = message('thread_switch_entry', {
  /** of state/switches.ts */
  name: required(1, string),
  value: required(2, u32),
});

export const threadCoreEntry = message('thread_core_entry', {
  /** head of the robust futex list, get_robust_list(2) */
  futexRla: required(1, u64),
  /** bytes; 24 on x86-64, 0 = none */
  futexRlaLen: required(2, u32),
  schedNice: optional(3, sint32),
  schedPolicy: optional(4, u32),
  schedPrio: optional(5, u32),
  /** of a thread that is not the leader */
  blkSigset: optional(6, u64),
  sas: optional(7, threadSasEntry),
  pdeathSig: optional(8, u32),
  signalsP: optional(9, signalQueueEntry),
  creds: optional(10, credsEntry),
  /** SeccompMode */
  seccompMode: optional(11, enumeration),
  /** index in seccomp.img of the newest filter */
  seccompFilter: optional(12, u32),
  comm: optional(13, string),
  blkSigsetExtended: optional(14, u64),
  rseqEntry: optional(15, rseqEntry),
  cgSet: optional(16, u32),
  /** ours: 27 u64 of user_regs_struct as the kernel showed them, before the restart fix-up */
  rawRegisters: optional(5000, bytes),
  /** ours: what an interrupted wait had left, nanoseconds */
  waitRemainingNs: optional(5001, u64),
  /** ours: the XSAVE area verbatim, NT_X86_XSTATE */
  xstate: optional(5002, bytes),
  /** ours: the mask of sched_setaffinity(2) */
  cpuAffinity: optional(5003, bytes),
  /** ours: PR_SET_TIMERSLACK, nanoseconds */
  timerSlackNs: optional(5004, u64),
  /** ours: ioprio_get(2) */
  ioprio: optional(5005, u32),
  /** ours: struct sched_attr of sched_getattr(2) */
  schedAttributes: optional(5006, bytes),
  /** ours: set_mempolicy(2) */
  memoryPolicy: optional(5007, memoryPolicyEntry),
  switches: repeated(5008, threadSwitchEntry),
});
export type ThreadCoreEntry = Infer<typeof threadCoreEntry>;

export const coreEntry = message('core_entry', {
  /** March */
  mtype: required(1, enumeration),
  /** absent for zombies */
  threadInfo: optional(2, threadInfoX86),
  /** required in the leader's file, forbidden in the others' */
  tc: optional(3, taskCoreEntry),
  /** old place of the ids, now ids-PID.img */
  ids: optional(4, taskKobjIdsEntry),
  /** absent for zombies */
  threadCore: optional(5, threadCoreEntry),
});
export type CoreEntry = Infer<typeof coreEntry>;
