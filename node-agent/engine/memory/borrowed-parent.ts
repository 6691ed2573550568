// Threads of a running process, stopped for one call that the process must make itself, and given back however that ends.
import { readStatus } from '../linux/procfs/status.ts';
import { threadIds } from '../linux/procfs/read.ts';
import * as ptrace from '../linux/ptrace.ts';
import { STOP_SIGNALS } from '../linux/signals.ts';
import { EVENT, poll } from '../linux/wait.ts';
import { isGone } from '../tracee/attach.ts';
import { leaveCriticalSection } from '../tracee/critical-section.ts';
import { DeadlineError, waitFor } from '../tracee/deadline.ts';
import { giveBack } from '../tracee/give-back.ts';
import type { LateStops } from '../tracee/late-stops.ts';
import { restartSilently } from '../tracee/silent-restart.ts';
import { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import { confirmWayBack, likelyWayBack } from '../tracee/way-back.ts';

const STOP_MILLIS = 2000;
/** Threads that are asked before we give up: each that does not stop costs the deadline. */
const MAX_THREADS_ASKED = 3;
const { TRACE_OPTION } = ptrace;

export class BorrowedParent implements Disposable {
  readonly #process: TracedProcess;
  readonly #lateStops: LateStops;
  readonly #threads: TracedThread[] = [];

  /** @param lateStops to which those go that do not stop in time */
  constructor(pid: number, lateStops: LateStops) {
    this.#process = new TracedProcess(pid);
    this.#lateStops = lateStops;
  }

  /** Those that stand, ready for a call. */
  get threads(): readonly TracedThread[] {
    return this.#threads;
  }

  /** @param all its threads, for as long as they stop; otherwise the first that does */
  borrow(all: boolean): void {
    const { pid } = this.#process;
    const tids = all ? threadIds(pid) : this.#candidates();
    const likely = likelyWayBack(pid);
    for (const tid of tids) {
      const stands = this.#stop(tid);
      if (stands) this.#process.wayBack = confirmWayBack(pid, likely);
      // One that does not stop costs the deadline.
      if (stands !== all) return;
    }
  }

  /** Threads that can be expected to stop, the leader first. While all wait for a disk or in vfork(2), so do we. */
  #candidates(): number[] {
    const { pid } = this.#process;
    const awake = (): number[] | undefined => {
      const states = threadIds(pid).map((tid) => ({ tid, state: stateOf(pid, tid) }));
      const alive = states.filter(({ state }) => !'ZX'.includes(state));
      const found = alive.filter(({ state }) => state !== 'D').map(({ tid }) => tid);
      return found.length > 0 || alive.length === 0 ? found : undefined;
    };
    const found = this.#inTime(`a thread of ${pid} that can stop`, awake);
    return found?.slice(0, MAX_THREADS_ASKED) ?? [];
  }

  /** Attaches to one running thread and stops it; false when that cannot be done. */
  #stop(tid: number): boolean {
    if (!seize(tid)) return false;
    const thread = this.#process.addThread(tid);
    let report: 'stopped' | 'ended' | undefined;
    try {
      ptrace.interrupt(tid);
      report = this.#inTime(`the stop of thread ${tid}`, () => reportOf(thread));
    } finally {
      // From here on it is given back, whatever fails.
      if (report === 'stopped') this.#threads.push(thread);
      if (report === undefined) this.#lateStops.add(thread);
    }
    if (report !== 'stopped') return false;
    restartSilently(thread);
    leaveCriticalSection(thread);
    return true;
  }

  #inTime<T>(what: string, attempt: () => T | undefined): T | undefined {
    try {
      return waitFor(what, STOP_MILLIS, () => {
        this.#lateStops.look();
        return attempt();
      });
    } catch (error) {
      if (error instanceof DeadlineError) return undefined;
      throw error;
    }
  }

  /** Lets all go on. One that does not answer keeps no other from it, and follows when it does. */
  [Symbol.dispose](): void {
    for (const thread of this.#threads.splice(0)) {
      try {
        giveBack(thread);
      } catch {
        this.#lateStops.add(thread);
      }
    }
  }
}

function stateOf(pid: number, tid: number): string {
  try {
    return readStatus(`${pid}/task/${tid}`).state;
  } catch (error) {
    if (isGone(error)) return 'X';
    throw error;
  }
}

/** False when it has ended, or somebody else traces it. */
function seize(tid: number): boolean {
  try {
    return ptrace.seize(tid, TRACE_OPTION.SYSGOOD | TRACE_OPTION.SUSPEND_SECCOMP);
  } catch (error) {
    if ((error as { errno?: string }).errno === 'EPERM') return false;
    throw error;
  }
}

/** What a thread that was asked to stop has become; undefined while there is something to wait for. */
function reportOf(thread: TracedThread): 'stopped' | 'ended' | undefined {
  const waited = poll(thread.tid);
  if (!waited) return undefined;
  const { status } = waited;
  if (status.kind === 'exited' || status.kind === 'killed') return 'ended';
  if (status.kind === 'event' && status.event === EVENT.STOP) {
    thread.stopped = true;
    thread.groupStopped = STOP_SIGNALS.has(status.signal);
    return 'stopped';
  }
  ptrace.resume(thread.tid, status.kind === 'signal-stop' ? status.signal : 0);
  return undefined;
}
