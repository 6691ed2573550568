// Attaching to one task of a program that runs, and so may change at every moment.
import { pid as ownPid } from 'node:process';
import { readProc } from '../linux/procfs/read.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import { seize } from '../linux/ptrace.ts';

/**
 * Seizes a thread without stopping it.
 *
 * @param options PTRACE_O_*
 * @returns its id as the application knows it; undefined when it has ended or is attached already
 * @throws LinuxError EPERM when somebody else traces it
 */
export function attach(pid: number, tid: number, options: number): number | undefined {
  const { state, nsPids } = readStatus(`${pid}/task/${tid}`);
  // A zombie cannot be attached to (EPERM); it is saved from what /proc says.
  if (state === 'Z') return undefined;
  try {
    return seize(tid, options) ? innermost(nsPids) : undefined;
  } catch (error) {
    if (isOutOfReach(pid, tid)) return undefined;
    throw error;
  }
}

/**
 * Why the kernel may deny what it would have allowed a moment ago:
 *  1. we read that a task lives;
 *  2. it ends, or turns out to be born of a traced parent and so attached already;
 *  3. SEIZE answers EPERM.
 */
function isOutOfReach(pid: number, tid: number): boolean {
  try {
    const { state, tracerPid } = readStatus(`${pid}/task/${tid}`);
    return state === 'Z' || state === 'X' || tracerPid === ownPid;
  } catch (error) {
    return isGone(error);
  }
}

/** The process that a living thread belongs to; undefined when it has ended, also when its parent does not know yet. */
export function threadGroupOf(tid: number): number | undefined {
  try {
    const status = readProc(`/proc/${tid}/status`);
    if (/^State:\s*[ZX]/m.test(status)) return undefined;
    return Number(/^Tgid:\s*(\d+)/m.exec(status)?.[1] ?? tid);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Did /proc or a call say that the task is no more? */
export function isGone(error: unknown): boolean {
  const { code, errno } = error as { code?: string; errno?: string | number };
  return [code, errno].some((name) => name === 'ENOENT' || name === 'ESRCH');
}
