// Threads that were asked to stop and did not in time. Their stop comes all the same, when nobody waits for it any more.
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL, STOP_SIGNALS } from '../linux/signals.ts';
import { EVENT, poll, type Waited, type WaitStatus } from '../linux/wait.ts';
import { isGone } from './attach.ts';
import { DeadlineError, waitFor } from './deadline.ts';
import { giveBack } from './give-back.ts';
import { restartSilently } from './silent-restart.ts';
import type { TracedThread } from './traced-thread.ts';

/** No tracer can take a request to stop back: each is let go, and traced no longer, when it has stopped. */
export class LateStops {
  readonly #threads = new Map<number, TracedThread>();

  add(thread: TracedThread): void {
    this.#threads.set(thread.tid, thread);
  }

  /** Deals with what they have reported since the last look. */
  look(): void {
    for (const tid of [...this.#threads.keys()]) {
      for (let waited = poll(tid); waited; waited = this.#threads.has(tid) ? poll(tid) : undefined)
        this.handle(waited);
    }
  }

  /** Waits for them, before work in which nobody can look. Who has not stopped by then goes when the engine ends. */
  wait(millis: number): void {
    try {
      waitFor('the last late stop', millis, () => {
        this.look();
        return this.#threads.size === 0 || undefined;
      });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
    }
  }

  /** @returns whether the report is of one of them */
  handle({ tid, status }: Waited): boolean {
    const thread = this.#threads.get(tid);
    if (!thread) return false;
    try {
      if (seeOff(thread, status)) this.#threads.delete(tid);
    } catch (error) {
      // Killed while it stood: the report of its end is on its way.
      if (!isGone(error)) throw error;
    }
    return true;
  }
}

/** @returns true when it is not traced any longer */
function seeOff(thread: TracedThread, status: WaitStatus): boolean {
  switch (status.kind) {
    case 'exited':
    case 'killed':
      return true;
    case 'signal-stop':
      signalled(thread, status.signal);
      return false;
    case 'syscall-stop':
      // A call of ours, at its entry or its exit: it is led into the signal loop.
      ptrace.interrupt(thread.tid);
      ptrace.resume(thread.tid);
      return false;
    case 'event':
      if (status.event === EVENT.STOP) return letGo(thread, status.signal);
      ptrace.resume(thread.tid);
      return false;
  }
}

/** While it does our work, a signal is a fault of that or the SIGSTOP that nobody can block; otherwise it is its own. */
function signalled(thread: TracedThread, signal: number): void {
  const { tid } = thread;
  if (!thread.isBorrowed) {
    ptrace.resume(tid, signal);
    return;
  }
  if (signal === SIGNAL.SIGSTOP) thread.heldStop = true;
  else thread.writeBack();
  ptrace.interrupt(tid);
  ptrace.resume(tid);
}

function letGo(thread: TracedThread, signal: number): true {
  thread.place = 'signal-loop';
  if (!thread.isBorrowed) {
    thread.forget();
    thread.groupStopped = STOP_SIGNALS.has(signal);
    restartSilently(thread);
  }
  giveBack(thread);
  return true;
}
