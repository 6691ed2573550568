// wait4(2) without ever blocking, and what its status word says.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from './error.ts';
import { allocate, syscall } from './ffi.ts';

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

/** The flags of a remote wait4 that reaps a snapshot child (exit signal 0) and nothing else. */
export const REAP_CLONE = WCLONE | WNOHANG;
