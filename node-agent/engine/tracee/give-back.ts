// Giving a borrowed thread back to the application.
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { settle } from './bootstrap-call.ts';
import type { TracedThread } from './traced-thread.ts';

/**
 * Gives a stopped thread its own registers and mask; it stays stopped.
 *
 * The order counts, should the engine die or the thread not answer any more:
 *  1. it gets what is its own at once: whatever wakes it from here on finds the application's code and not ours, which may
 *     have faulted and would fault again. A thread whose tracer goes away passes through the kernel's signal loop, so that
 *     the restart rules hold for it (kernel/ptrace.c, __ptrace_unlink: it is woken as by a signal);
 *  2. then it comes into the signal loop by a stop that precedes every instruction and every signal.
 */
export function giveRegistersBack(thread: TracedThread): void {
  thread.writeBack();
  settle(thread);
}

/** Gives a stopped thread back altogether: it runs on, and nobody traces it. */
export function giveBack(thread: TracedThread): void {
  giveRegistersBack(thread);
  ptrace.detach(thread.tid);
  if (thread.heldStop) sendSignal(thread.process.pid, SIGNAL.SIGSTOP);
}
