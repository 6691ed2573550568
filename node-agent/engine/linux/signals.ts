// Signals: sending them to a proven process, and their numbers.
import { SYS } from '../arch/x86-64.ts';
import { check } from './error.ts';
import { syscall } from './ffi.ts';

export const SIGNAL = {
  SIGKILL: 9,
  SIGTRAP: 5,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGWINCH: 28,
} as const;

/** Bit of a signal in a mask. */
export const signalBit = (signal: number): bigint => 1n << BigInt(signal - 1);
export const ALL_SIGNALS = 0xffffffffffffffffn;
export const STOP_SIGNALS: ReadonlySet<number> = new Set([
  SIGNAL.SIGSTOP,
  SIGNAL.SIGTSTP,
  SIGNAL.SIGTTIN,
  SIGNAL.SIGTTOU,
]);

/**
 * Sends a signal to one process.
 *
 * @param pid must be above 1: 0 and negative numbers mean groups, 1 is the machine's or the agent's init
 */
/** To the very process that a pidfd was opened for; nothing happens when it has ended. */
export function signalByPidfd(pidfd: number, signal: number): void {
  syscall(SYS.pidfd_send_signal, pidfd, signal, 0, 0);
}

export function sendSignal(pid: number, signal: number): void {
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Error(`refusing to signal pid ${pid}`);
  check(syscall(SYS.kill, pid, signal), 'kill', { pid });
}
