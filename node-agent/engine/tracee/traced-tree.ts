// The tasks of a process tree while they are traced: seized as they run, followed from birth to end.
import { EVENT, poll, type Waited } from '../linux/wait.ts';
import * as ptrace from '../linux/ptrace.ts';
import { childPids } from '../linux/procfs/children.ts';
import { threadIds } from '../linux/procfs/read.ts';
import { SIGNAL, STOP_SIGNALS, sendSignal } from '../linux/signals.ts';
import { attach, isGone, threadGroupOf } from './attach.ts';
import { waitFor } from './deadline.ts';
import { LateStops } from './late-stops.ts';
import { restartSilently } from './silent-restart.ts';
import { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';

const { TRACE_OPTION } = ptrace;

/** Children and threads born later attach themselves, and our remote calls are not judged by the application's seccomp filter. */
export const FOLLOW =
  TRACE_OPTION.SYSGOOD |
  TRACE_OPTION.FORK |
  TRACE_OPTION.VFORK |
  TRACE_OPTION.CLONE |
  TRACE_OPTION.EXEC |
  TRACE_OPTION.VFORKDONE |
  TRACE_OPTION.SUSPEND_SECCOMP;

/** Passes over /proc until nobody new is found; a fork storm needs a few. */
const MAX_SEIZE_PASSES = 50;

export class TracedTree {
  readonly processes = new Map<number, TracedProcess>();
  readonly #threads = new Map<number, TracedThread>();
  /** borrowed ones that nobody waits for any more */
  readonly lateStops = new LateStops();
  /** PTRACE_O_* of everybody */
  readonly options: number;
  /** who stops, stays stopped */
  protected freezing = false;

  /** @param extraOptions PTRACE_O_EXITKILL for half-built processes; never for originals */
  constructor(extraOptions = 0) {
    this.options = FOLLOW | extraOptions;
  }

  /**
   * Attaches to a process and all its descendants without stopping them.
   *
   * @throws LinuxError EPERM when somebody else traces one of them
   */
  seizeTree(root: number): TracedProcess {
    if (!Number.isSafeInteger(root) || root <= 1) throw new Error(`refusing to trace pid ${root}`);
    for (let pass = 0; pass < MAX_SEIZE_PASSES; pass++) {
      if (this.#seizePass(root) === 0) break;
      this.pump();
    }
    const process = this.processes.get(root);
    if (!process) throw new Error(`process ${root} ended before it could be traced`);
    return process;
  }

  #seizePass(root: number): number {
    let fresh = 0;
    const pending = [root];
    while (pending.length > 0) {
      const pid = pending.pop() as number;
      try {
        for (const tid of threadIds(pid)) fresh += this.#seizeThread(pid, tid);
        pending.push(...childPids(pid).filter((child) => !this.processes.get(child)?.snapshot));
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
    return fresh;
  }

  #seizeThread(pid: number, tid: number): number {
    if (this.#threads.has(tid)) return 0;
    const nsTid = attach(pid, tid, this.options);
    if (nsTid === undefined) return 0;
    // Read here, while the application runs: a file less for each thread in the freeze.
    const thread = this.#register(pid, tid);
    thread.nsTid = nsTid;
    if (tid === pid) thread.process.nsPid = nsTid;
    return 1;
  }

  #register(pid: number, tid: number): TracedThread {
    let process = this.processes.get(pid);
    if (!process) {
      process = new TracedProcess(pid);
      this.processes.set(pid, process);
    }
    const thread = process.addThread(tid);
    this.#threads.set(tid, thread);
    return thread;
  }

  thread(tid: number): TracedThread | undefined {
    return this.#threads.get(tid);
  }

  get threads(): Iterable<TracedThread> {
    return this.#threads.values();
  }

  /**
   * Waits for the first stop of a task born by remote work (its parent was traced, so it attached itself).
   *
   * @param pid process that it belongs to: itself for a new process
   */
  adopt(pid: number, tid: number): TracedThread {
    const known = this.#threads.get(tid) ?? this.#register(pid, tid);
    if (!known.stopped) {
      waitFor(`first stop of task ${tid}`, 10_000, () => {
        const waited = poll(tid);
        if (waited && waited.status.kind !== 'event') {
          throw new Error(`task ${tid} ended at birth: ${JSON.stringify(waited.status)}`);
        }
        return waited;
      });
      known.stopped = true;
      known.place = 'birth';
    }
    return known;
  }

  /** Handles everything that was reported since the last call; while the application runs, this keeps it running. */
  pump(): void {
    for (;;) {
      const waited = poll(-1);
      if (!waited) return;
      this.#handle(waited);
    }
  }

  /** As {@link pump}, and asks each who has not stopped yet: to answer for anybody the kernel looks at all of them. */
  protected pumpAll(): void {
    for (const { tid, stopped } of [...this.#threads.values()]) {
      const waited = stopped ? undefined : poll(tid);
      if (waited) this.#handle(waited);
    }
    this.pump();
  }

  #handle(waited: Waited): void {
    if (this.lateStops.handle(waited)) return;
    const { tid, status } = waited;
    const thread = this.#threads.get(tid) ?? this.#registerUnknown(tid);
    if (!thread) return;
    switch (status.kind) {
      case 'exited':
      case 'killed':
        return this.forget(thread);
      case 'signal-stop':
        return this.#signalled(thread, status.signal);
      case 'syscall-stop':
        ptrace.resume(tid);
        return;
      case 'event':
        return this.#handleEvent(thread, status.event, status.signal);
    }
  }

  #handleEvent(thread: TracedThread, event: number, signal: number): void {
    switch (event) {
      case EVENT.FORK:
      case EVENT.VFORK:
      case EVENT.CLONE:
        thread.inVfork = event === EVENT.VFORK;
        this.#registerUnknown(ptrace.eventMessage(thread.tid));
        return this.#runOn(thread);
      case EVENT.VFORK_DONE:
        thread.inVfork = false;
        return this.#runOn(thread);
      case EVENT.EXEC:
        this.#afterExec(thread);
        return this.#runOn(thread);
      case EVENT.STOP:
        return this.#stopped(thread, signal);
      default:
        return this.#runOn(thread);
    }
  }

  #runOn(thread: TracedThread): void {
    if (this.freezing) ptrace.interrupt(thread.tid);
    ptrace.resume(thread.tid);
  }

  #stopped(thread: TracedThread, signal: number): void {
    if (!thread.stopped) thread.forget();
    thread.place = 'signal-loop';
    // At once: an engine may die, and a stop may come when the freeze that asked for it has been given up.
    const owesInterruption = thread.groupStopped;
    thread.groupStopped = STOP_SIGNALS.has(signal);
    if (!owesInterruption) restartSilently(thread);
    if (this.freezing) {
      thread.stopped = true;
      return;
    }
    // Application running: a group stop must last, a newborn must start.
    if (thread.groupStopped) ptrace.listen(thread.tid);
    else ptrace.resume(thread.tid);
    thread.forget();
  }

  /**
   * A signal of the application's. Traced, a thread is woken even by one that it ignores. While freezing, the stop that we
   * asked for stays pending and comes before the first instruction of a handler.
   */
  #signalled(thread: TracedThread, signal: number): void {
    thread.forget();
    if (!STOP_SIGNALS.has(signal)) restartSilently(thread);
    ptrace.resume(thread.tid, signal);
    thread.forget();
  }

  /** exec(2) in one thread ends all others without a report of their own. */
  #afterExec(thread: TracedThread): void {
    for (const other of thread.process.threads.values()) {
      if (other !== thread) this.forget(other);
    }
    thread.process.forgetProgram();
  }

  /**
   * Who was not seized but attached itself. It may have ended by now:
   *  1. a child is born, runs and ends, and its end is handled;
   *  2. only then do we come to its parent's report of the birth, while the parent has not waited for it.
   */
  #registerUnknown(tid: number): TracedThread | undefined {
    const known = this.#threads.get(tid);
    if (known) return known;
    const pid = threadGroupOf(tid);
    return pid === undefined ? undefined : this.#register(pid, tid);
  }

  /** Takes a thread off the books. */
  protected forget(thread: TracedThread): void {
    this.#threads.delete(thread.tid);
    thread.process.threads.delete(thread.tid);
    if (thread.process.threads.size === 0) this.processes.delete(thread.process.pid);
  }

  /** Waits for the end of a process that was sent a deadly signal or calls exit, and takes it off the books. */
  awaitEnd(process: TracedProcess, millis = 10_000): void {
    waitFor(`the end of process ${process.pid}`, millis, () => {
      for (const thread of [...process.threads.values()]) {
        const waited = poll(thread.tid);
        if (!waited) continue;
        if (waited.status.kind === 'exited' || waited.status.kind === 'killed') this.forget(thread);
        else ptrace.resume(thread.tid);
      }
      return process.threads.size === 0 || undefined;
    });
    this.processes.delete(process.pid);
  }

  /** Collects the threads that an exec(2) of their leader ends: it returns only when its tracer has. */
  reapThreads(process: TracedProcess): void {
    for (const thread of [...process.threads.values()]) {
      if (thread.tid === process.pid) continue;
      const kind = poll(thread.tid)?.status.kind;
      if (kind === 'exited' || kind === 'killed') this.forget(thread);
    }
  }

  /** Ends everything that is traced. All are killed before the first is waited for: a pid 1 ends last of its namespace. */
  endAll(millis = 10_000): void {
    for (const { pid } of this.processes.values()) sendSignal(pid, SIGNAL.SIGKILL);
    waitFor('the end of all processes', millis, () => {
      this.pump();
      return this.processes.size === 0 || undefined;
    });
  }

  /** The same for one thread that calls exit(2). */
  awaitThreadEnd(thread: TracedThread, millis = 10_000): void {
    waitFor(`the end of thread ${thread.tid}`, millis, () => {
      const waited = poll(thread.tid);
      if (!waited) return undefined;
      if (waited.status.kind === 'exited' || waited.status.kind === 'killed') return true;
      ptrace.resume(thread.tid);
      return undefined;
    });
    this.forget(thread);
  }

  /** Takes a process that was killed or has ended off the books. */
  drop(process: TracedProcess): void {
    for (const thread of [...process.threads.values()]) this.forget(thread);
    this.processes.delete(process.pid);
  }
}
