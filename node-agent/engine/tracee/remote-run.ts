// Running foreign code in a stopped thread until it reports back; shared by bootstrap calls and batches.
import { EVENT, poll, type WaitStatus } from '../linux/wait.ts';
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL } from '../linux/signals.ts';
import { waitFor } from './deadline.ts';
import type { TracedThread } from './traced-thread.ts';

/** Longest time one remote call may take before the engine gives up on it. */
export const REMOTE_CALL_MILLIS = 10_000;

/** The tracee ended, or did something that our code cannot do: the registers or memory were not what we thought. */
export class TraceeError extends Error {
  readonly tid: number;
  readonly status: WaitStatus;
  constructor(tid: number, status: WaitStatus) {
    super(`task ${tid} did not come back from a remote call: ${JSON.stringify(status)}`);
    this.name = 'TraceeError';
    this.tid = tid;
    this.status = status;
  }
}

export interface RemoteEvents {
  /** pid or tid of a task that the remote call gave birth to, in the engine's numbering */
  born: number | undefined;
  exec: boolean;
  /** done between looks at the thread: what its call waits for */
  readonly meanwhile?: () => void;
}

/** What ends this stretch of remote work. */
export type Expected =
  | { readonly kind: 'syscall-stop' }
  | { readonly kind: 'signal'; readonly signal: number }
  | { readonly kind: 'event-stop' };

function reached(status: WaitStatus, expected: Expected): boolean {
  switch (expected.kind) {
    case 'syscall-stop':
      return status.kind === 'syscall-stop';
    case 'signal':
      return status.kind === 'signal-stop' && status.signal === expected.signal;
    case 'event-stop':
      return status.kind === 'event' && status.event === EVENT.STOP;
  }
}

/**
 * Waits until a thread that was set going reports `expected`, as {@link lookForStop} does.
 *
 * @throws TraceeError when the tracee ended or faulted
 * @throws DeadlineError when it stays silent
 */
export function awaitStop(
  thread: TracedThread,
  expected: Expected,
  events: RemoteEvents,
  millis = REMOTE_CALL_MILLIS,
): void {
  waitFor(
    `the end of a remote call in task ${thread.tid}`,
    millis,
    () => lookForStop(thread, expected, events) || undefined,
  );
}

/**
 * One look whether a thread that was set going has reported `expected`; everything else on the way is dealt with.
 *
 * SIGSTOP cannot be blocked: one that shows up is kept and sent again after the detach.
 *
 * @throws TraceeError when the tracee ended or faulted
 */
export function lookForStop(
  thread: TracedThread,
  expected: Expected,
  events: RemoteEvents,
): boolean {
  const { tid } = thread;
  events.meanwhile?.();
  const waited = poll(tid);
  if (!waited) return false;
  const { status } = waited;
  if (reached(status, expected)) return true;
  if (status.kind === 'exited' || status.kind === 'killed') throw new TraceeError(tid, status);
  if (status.kind === 'signal-stop' && status.signal !== SIGNAL.SIGSTOP) {
    // Every other signal is blocked: only a fault of the remote code itself gets here.
    throw new TraceeError(tid, status);
  }
  note(thread, status, events);
  const go = expected.kind === 'syscall-stop' ? ptrace.resumeToSyscall : ptrace.resume;
  if (!go(tid)) throw new TraceeError(tid, status);
  return false;
}

function note(thread: TracedThread, status: WaitStatus, events: RemoteEvents): void {
  if (status.kind === 'signal-stop') thread.heldStop = true;
  if (status.kind !== 'event') return;
  if (status.event === EVENT.EXEC) events.exec = true;
  if (status.event === EVENT.FORK || status.event === EVENT.VFORK || status.event === EVENT.CLONE) {
    events.born = ptrace.eventMessage(thread.tid);
  }
}
