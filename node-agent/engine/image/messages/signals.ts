// Signals and timers of a process, in core-TID.img.
import {
  bool,
  bytes,
  i32,
  type Infer,
  message,
  optional,
  repeated,
  required,
  u32,
  u64,
} from '../codec.ts';

/** sigaction(2) of one signal. */
export const saEntry = message('sa_entry', {
  /** handler; 0 SIG_DFL, 1 SIG_IGN */
  sigaction: required(1, u64),
  flags: required(2, u64),
  restorer: required(3, u64),
  mask: required(4, u64),
  compatSigaction: optional(5, bool),
  maskExtended: optional(6, u64),
});
export type SaEntry = Infer<typeof saEntry>;

/** One pending signal: 128 bytes of siginfo_t. */
export const siginfoEntry = message('siginfo_entry', { siginfo: required(1, bytes) });
export type SiginfoEntry = Infer<typeof siginfoEntry>;

export const signalQueueEntry = message('signal_queue_entry', {
  signals: repeated(1, siginfoEntry),
});
export type SignalQueueEntry = Infer<typeof signalQueueEntry>;

/** sigaltstack(2) */
export const threadSasEntry = message('thread_sas_entry', {
  ssSp: required(1, u64),
  ssSize: required(2, u64),
  ssFlags: required(3, u32),
});
export type ThreadSasEntry = Infer<typeof threadSasEntry>;

/** setitimer(2): interval and remaining time. */
export const itimerEntry = message('itimer_entry', {
  isec: required(1, u64),
  iusec: required(2, u64),
  vsec: required(3, u64),
  vusec: required(4, u64),
});
export type ItimerEntry = Infer<typeof itimerEntry>;

/** timer_create(2) */
export const posixTimerEntry = message('posix_timer_entry', {
  /** kernel's id, which the application knows */
  itId: required(1, u32),
  clockId: required(2, u32),
  siSigno: required(3, u32),
  /** SIGEV_* */
  itSigevNotify: required(4, u32),
  sivalPtr: required(5, u64),
  overrun: required(6, u32),
  isec: required(7, u64),
  insec: required(8, u64),
  vsec: required(9, u64),
  vnsec: required(10, u64),
  notifyThreadId: optional(11, i32),
});
export type PosixTimerEntry = Infer<typeof posixTimerEntry>;

export const taskTimersEntry = message('task_timers_entry', {
  real: required(1, itimerEntry),
  virt: required(2, itimerEntry),
  prof: required(3, itimerEntry),
  posix: repeated(4, posixTimerEntry),
});
export type TaskTimersEntry = Infer<typeof taskTimersEntry>;
