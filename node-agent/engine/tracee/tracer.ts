// Stopping a traced process tree and letting it go.
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { leaveCriticalSection } from './critical-section.ts';
import { DeadlineError, waitFor } from './deadline.ts';
import type { TracedProcess } from './traced-process.ts';
import { TracedTree } from './traced-tree.ts';

/** Processes that cannot be stopped now: parents that wait for a vfork child, or tasks in an uninterruptible call. */
export class UnstoppableError extends Error {
  readonly pids: readonly number[];
  constructor(pids: readonly number[]) {
    super(`processes ${pids.join(', ')} did not stop: in vfork(2) or in an uninterruptible call`);
    this.name = 'UnstoppableError';
    this.pids = pids;
  }
}

export class Tracer extends TracedTree {
  /**
   * Stops every thread. When it throws, all of them run again.
   *
   * @param millis time for all to stop; a vfork parent stops only when its child has exec'd or ended
   * @throws UnstoppableError naming who did not stop
   */
  freeze(millis: number): void {
    this.pump();
    this.freezing = true;
    for (const thread of this.threads) ptrace.interrupt(thread.tid);
    try {
      waitFor('the stop of all threads', millis, () => {
        this.pumpAll();
        return this.#allStopped() || undefined;
      });
    } catch (error) {
      const late = [...this.threads].filter((t) => !t.stopped).map((t) => t.process.pid);
      this.thaw();
      throw error instanceof DeadlineError ? new UnstoppableError([...new Set(late)]) : error;
    }
    for (const thread of this.threads) leaveCriticalSection(thread);
  }

  #allStopped(): boolean {
    let all = true;
    for (const thread of this.threads) {
      if (thread.stopped) continue;
      all = false;
      // Newborns during a freeze stop by themselves; others may have been registered after the interrupts went out.
      ptrace.interrupt(thread.tid);
    }
    return all;
  }

  /** Lets every stopped thread run on, still traced. */
  thaw(): void {
    this.freezing = false;
    for (const thread of this.threads) {
      if (!thread.stopped) continue;
      thread.writeBack();
      thread.stopped = false;
      thread.forget();
      if (thread.groupStopped) ptrace.listen(thread.tid);
      else ptrace.resume(thread.tid);
    }
    this.pump();
  }

  /** Gives a stopped process back to itself and stops tracing it. Its remote work must be undone before. */
  release(process: TracedProcess): void {
    if (process.snapshot) return this.#end(process);
    const stops = [...process.threads.values()].some((t) => t.heldStop);
    for (const thread of process.threads.values()) {
      thread.writeBack();
    }
    for (const thread of [...process.threads.values()]) {
      ptrace.detach(thread.tid);
      this.forget(thread);
    }
    if (stops) sendSignal(process.pid, SIGNAL.SIGSTOP);
  }

  /** A snapshot child must never run: it would be a second application. */
  #end(process: TracedProcess): void {
    sendSignal(process.pid, SIGNAL.SIGKILL);
    this.awaitEnd(process);
  }

  /** Ends tracing of everything, running or stopped, as well as it can: the way out after a failure. */
  releaseAll(): void {
    for (const thread of this.threads) {
      if (!thread.stopped) ptrace.interrupt(thread.tid);
    }
    this.freezing = true;
    try {
      waitFor('the stop before the release', 2000, () => {
        this.pump();
        return [...this.threads].every((t) => t.stopped) || undefined;
      });
    } catch (error) {
      // Whoever does not stop is detached by the kernel when the engine ends.
      if (!(error instanceof DeadlineError)) throw error;
    }
    this.freezing = false;
    for (const process of [...this.processes.values()]) this.release(process);
  }
}
