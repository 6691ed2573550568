// The last steps: sleeps re-armed, the interpreter out, registers in, and everybody goes at the same moment.
import { TASK_STATE } from '../state/task-facts.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { settle } from '../tracee/bootstrap-call.ts';
import { Resident } from '../tracee/resident.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { rearm } from './rearm.ts';
import type { ProcessUnderConstruction, ThreadUnderConstruction } from './under-construction.ts';

/** Makes one process ready to go: nothing of ours is left in it but the trace. */
export function finishProcess(process: ProcessUnderConstruction): void {
  const { leader, resident } = process.process;
  const others = process.threads.filter((t) => t.thread !== leader);
  for (const thread of others) finishThread(thread, resident!);
  const first = process.threads.find((t) => t.thread === leader);
  if (first) finishThread(first, resident!);
  // The unmapping goes through the leader; it leaves a restart block alone.
  Resident.unmap(process.process);
  settle(leader);
}

function finishThread({ thread, saved }: ThreadUnderConstruction, resident: Resident): void {
  const remaining = saved.core.threadCore?.waitRemainingNs;
  const slot = resident.slot(thread);
  rearm(thread, slot.dataAt, remaining);
  settle(thread);
}

/** Lets all processes go. */
export function releaseTogether(
  processes: readonly ProcessUnderConstruction[],
  tracer: Tracer,
  leaveStopped: boolean,
): void {
  for (const { saved, process } of processes) {
    for (const thread of process.threads.values()) thread.writeBack();
    const stopped = saved.core.tc?.taskState === TASK_STATE.STOPPED;
    if (stopped || leaveStopped) sendSignal(process.pid, SIGNAL.SIGSTOP);
  }
  for (const { process } of processes) tracer.release(process);
}
