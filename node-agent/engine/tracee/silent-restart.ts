// Some calls answer -EINTR to our stop although no handler runs. They are made to ask the kernel again.
import { SYS } from '../arch/x86-64.ts';
import { readMemory } from '../linux/process-memory.ts';
import { isGone } from './attach.ts';
import { askKernelToRestart, callArguments, interruption } from './restart.ts';
import type { TracedThread } from './traced-thread.ts';

/**
 * A restarted call waits its whole time-out again. Above this limit it keeps its EINTR: otherwise a long time-out would
 * never end in an application that is checkpointed more often than that.
 */
const LONGEST_RESTARTED_TIMEOUT_MILLIS = 60_000;

/** Which argument holds a `struct timespec *`. */
const TIMESPEC_ARGUMENT = new Map<number, number>([
  [SYS.epoll_pwait2, 3],
  [SYS.rt_sigtimedwait, 2],
  [SYS.semtimedop, 3],
  [SYS.io_getevents, 4],
  [SYS.io_pgetevents, 4],
]);

/** Milliseconds after which the call gives up by itself; 0 when it never does or the socket knows. */
function timeoutMillis(thread: TracedThread, call: number): number {
  const args = callArguments(thread.registers);
  if (call === SYS.epoll_wait || call === SYS.epoll_pwait) {
    return Math.max(0, Number(BigInt.asIntN(32, args[3]!)));
  }
  const place = TIMESPEC_ARGUMENT.get(call);
  if (place === undefined || args[place] === 0n) return 0;
  const timespec = tryRead(thread, args[place]!);
  // Another thread has unmapped it: to call again would answer EFAULT.
  if (!timespec) return Infinity;
  return Number(timespec.readBigInt64LE(0)) * 1000 + Number(timespec.readBigInt64LE(8)) / 1e6;
}

function tryRead(thread: TracedThread, at: bigint): Buffer | undefined {
  try {
    return readMemory(thread.process.pid, at, 16);
  } catch {
    return undefined;
  }
}

/**
 * Turns the -EINTR of a thread at an event stop into ERESTARTNOHAND, so that the kernel decides when it is let go: a
 * handler that really runs still sees EINTR, otherwise the call restarts silently. A thread in a group stop is left
 * alone: signal(7) promises it an EINTR after SIGCONT. The kernel is told at once: the engine may die at any moment.
 */
export function restartSilently(thread: TracedThread): void {
  if (thread.groupStopped) return;
  try {
    askAgain(thread);
  } catch (error) {
    // Killed while it stood: the report of its end is on its way.
    if (!isGone(error)) throw error;
  }
}

function askAgain(thread: TracedThread): void {
  const state = interruption(thread.registers);
  if (state.kind !== 'plain-eintr') return;
  if (timeoutMillis(thread, state.call) > LONGEST_RESTARTED_TIMEOUT_MILLIS) return;
  thread.amend(askKernelToRestart(thread.registers));
}
