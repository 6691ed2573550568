// wait4(2) without ever blocking, and what its status word says.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';
import { SIGNAL, signalBit } from './signals.ts';

const WNOHANG = 1;
const WALL = 0x40000000;
const WCLONE = 0x80000000;
const SYSCALL_STOP_SIGNAL = 0x85;

/** PTRACE_EVENT_* numbers. */
export const EVENT = {
  NONE: 0,
  FORK: 1,
  VFORK: 2,
  CLONE: 3,
  EXEC: 4,
  VFORK_DONE: 5,
  STOP: 128,
} as const;

/** Why a traced thread reported. */
export type WaitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: number }
  | { readonly kind: 'syscall-stop' }
  | { readonly kind: 'signal-stop'; readonly signal: number }
  | { readonly kind: 'event'; readonly event: number; readonly signal: number };

export interface Waited {
  readonly tid: number;
  readonly status: WaitStatus;
}

const scratch = allocate(4096);
/** signal set, old mask, timespec */
const sleeper = allocate(4096);
const OLD_MASK_AT = 8n;
const TIMESPEC_AT = 16n;
const MASK_BYTES = 8;
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
const LONGEST_SLEEP_NANOS = 500_000n;

function decode(status: number): WaitStatus {
  const low = status & 0x7f;
  if (low === 0) return { kind: 'exited', code: (status >> 8) & 0xff };
  if ((status & 0xff) !== 0x7f) return { kind: 'killed', signal: low };
  const signal = (status >> 8) & 0xff;
  const event = status >> 16;
  if (event !== 0) return { kind: 'event', event, signal };
  if (signal === SYSCALL_STOP_SIGNAL) return { kind: 'syscall-stop' };
  return { kind: 'signal-stop', signal };
}

/**
 * Collects one report if there is one.
 *
 * @param tid thread, or -1 for any child or tracee of this process
 * @returns undefined when nobody has anything to say, also when there is nobody at all
 */
export function poll(tid: number): Waited | undefined {
  const result = syscall(SYS.wait4, tid, scratch.address, WALL | WNOHANG, 0);
  if (result === 0) return undefined;
  if (result < 0) {
    const error = new LinuxError('wait4', -result, { pid: tid });
    if (error.errno === 'ECHILD' || error.errno === 'EINTR') return undefined;
    throw error;
  }
  return { tid: result, status: decode(scratch.view.getInt32(0, true)) };
}

/**
 * Calls `attempt` until it gives something or the time is over, and sleeps in between until some child or tracee reports.
 *
 * The report's SIGCHLD is what wakes this thread, so it is blocked meanwhile: then the kernel keeps it for
 * rt_sigtimedwait(2) instead of throwing it away. Another thread of this process may take it all the same, if it comes
 * between `attempt` and the sleep; the sleep is short for that reason.
 */
export function pollAsleep<T>(millis: number, attempt: () => T | undefined): T | undefined {
  const until = performance.now() + millis;
  const { words, address } = sleeper;
  words[0] = signalBit(SIGNAL.SIGCHLD);
  syscall(SYS.rt_sigprocmask, SIG_BLOCK, address, address + OLD_MASK_AT, MASK_BYTES);
  try {
    for (;;) {
      const result = attempt();
      if (result !== undefined || performance.now() > until) return result;
      words[2] = 0n;
      words[3] = LONGEST_SLEEP_NANOS;
      syscall(SYS.rt_sigtimedwait, address, 0, address + TIMESPEC_AT, MASK_BYTES);
    }
  } finally {
    syscall(SYS.rt_sigprocmask, SIG_SETMASK, address + OLD_MASK_AT, 0, MASK_BYTES);
  }
}

/** The flags of a remote wait4 that reaps a snapshot child (exit signal 0) and nothing else. */
export const REAP_CLONE = WCLONE | WNOHANG;
