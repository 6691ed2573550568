// Processes that were stopped are stopped again before signals, timers and parents have a say in it.
import * as ptrace from '../linux/ptrace.ts';
import { SYS } from '../arch/x86-64.ts';
import { ALL_SIGNALS, SIGNAL, sendSignal, signalBit, STOP_SIGNALS } from '../linux/signals.ts';
import { EVENT, poll, type WaitStatus } from '../linux/wait.ts';
import { TASK_STATE } from '../state/task-facts.ts';
import { waitFor } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { REMOTE_CALL_MILLIS, TraceeError } from '../tracee/remote-run.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { ProcessUnderConstruction } from './under-construction.ts';

const WNOHANG = 1;
const WUNTRACED = 2;

/**
 * Stops every process that was stopped; it can still do remote work, and after the detach it is stopped by itself. All its
 * threads exist, its pending signals come later: one that is deadly would end it before a stop signal is seen.
 */
export function stopAsSaved(processes: readonly ProcessUnderConstruction[]): void {
  for (const { saved, process } of processes) {
    const task = saved.core.tc;
    if (task?.taskState !== TASK_STATE.STOPPED) continue;
    const wanted = task.stopSigno ?? SIGNAL.SIGSTOP;
    stopGroup(process, STOP_SIGNALS.has(wanted) ? wanted : SIGNAL.SIGSTOP);
    const parent = processes.find((one) => one.saved.pid === saved.pstree.ppid);
    if (task.stopHeard && parent) hear(parent.process, saved.pid);
  }
}

/**
 * The kernel stops a process by a terminal's signal only where somebody of its session could let it go on; without, and
 * for a PID 1, SIGSTOP must do.
 */
function stopGroup(process: TracedProcess, signal: number): void {
  const { leader, threads } = process;
  if (!stopBy(leader, signal) && !stopBy(leader, SIGNAL.SIGSTOP)) {
    throw new Error(`process ${process.nsPid} cannot be stopped again`);
  }
  for (const thread of threads.values()) {
    if (thread !== leader) goOnToStop(thread, 0);
    thread.groupStopped = true;
  }
}

/** Sends it the one that nobody can block, and hands it over as the one that is wanted: ptrace(2). */
function stopBy(leader: TracedThread, signal: number): boolean {
  const { tid, process } = leader;
  leader.saveBeforeUse();
  ptrace.setSignalMask(tid, ALL_SIGNALS & ~signalBit(signal));
  sendSignal(process.pid, SIGNAL.SIGSTOP);
  go(leader, 0);
  const arrived = (status: WaitStatus): true | undefined =>
    (status.kind === 'signal-stop' && status.signal === SIGNAL.SIGSTOP) || undefined;
  report(leader, arrived);
  return goOnToStop(leader, signal) === signal;
}

/** It comes to the stop of its group, or of itself, without an instruction in between. @returns the signal of the stop */
function goOnToStop(thread: TracedThread, signal: number): number {
  thread.saveBeforeUse();
  ptrace.interrupt(thread.tid);
  go(thread, signal);
  const stoppedBy = report(thread, (status) =>
    status.kind === 'event' && status.event === EVENT.STOP ? status.signal : undefined,
  );
  thread.place = 'signal-loop';
  return stoppedBy;
}

function go(thread: TracedThread, signal: number): void {
  if (!ptrace.resume(thread.tid, signal)) {
    throw new TraceeError(thread.tid, { kind: 'killed', signal: SIGNAL.SIGKILL });
  }
}

/** Waits for the one report that may come next. */
function report<T>(thread: TracedThread, wanted: (status: WaitStatus) => T | undefined): T {
  const { tid } = thread;
  return waitFor(`the stop of task ${tid}`, REMOTE_CALL_MILLIS, () => {
    const waited = poll(tid);
    if (!waited) return undefined;
    const found = wanted(waited.status);
    if (found === undefined) throw new TraceeError(tid, waited.status);
    return found;
  });
}

/** The parent had asked for it before: it shall not be told twice. The SIGCHLD is taken away with those of the births. */
function hear(parent: TracedProcess, child: number): void {
  const batch = new RemoteBatch(parent.leader);
  batch.must(SYS.wait4, child, 0, WNOHANG | WUNTRACED, 0);
  batch.run();
}
