// The last steps: sleeps re-armed, the interpreter out, registers in, and everybody goes at the same moment.
import { FLAG_IDENTIFICATION, REG, SYS } from '../arch/x86-64.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import { sizeOf } from '../memory/address-space.ts';
import { onlyArea } from '../memory/saved-areas.ts';
import { findVdso } from '../memory/vdso.ts';
import { TASK_STATE } from '../state/task-facts.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { settle } from '../tracee/bootstrap-call.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { Resident } from '../tracee/resident.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { findWayBack } from '../tracee/way-back.ts';
import { rearm } from './rearm.ts';
import { buildBridge } from './vdso-bridge.ts';
import type { ProcessUnderConstruction, ThreadUnderConstruction } from './under-construction.ts';

/** Makes one process ready to go: nothing of ours is left in it but the trace. */
export function finishProcess(process: ProcessUnderConstruction): void {
  const { leader, resident } = process.process;
  const { bridge } = process.saved;
  if (bridge) buildBridge(process.process.pid, bridge);
  else leaveOutVdso(process);
  const others = process.threads.filter((t) => t.thread !== leader);
  for (const thread of others) finishThread(thread, resident!);
  const first = process.threads.find((t) => t.thread === leader);
  if (first) finishThread(first, resident!);
  // The unmapping goes through the leader; it leaves a restart block alone.
  Resident.unmap(process.process);
  settle(leader);
}

/** A program that had unmapped its vDSO has none: ours was needed until the program's own code was there. */
function leaveOutVdso(builder: ProcessUnderConstruction): void {
  const { saved, process } = builder;
  if (!saved.mm || onlyArea(saved.mm, 'vdso')) return;
  const mappings = readMaps(process.pid);
  const vdso = findVdso(mappings);
  // The last calls go through an instruction of its C library.
  const instead = findWayBack(
    process.pid,
    mappings.filter(({ name }) => name !== '[vdso]'),
  );
  if (!vdso || !instead) return;
  for (const span of [vdso.code, ...vdso.data]) {
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.munmap, span.start, sizeOf(span));
  }
  builder.flush();
  process.bootstrapAddress = instead.syscallRet;
}

function finishThread({ thread, saved }: ThreadUnderConstruction, resident: Resident): void {
  // The interpreter sets what a tracer cannot, at the end of any batch; an empty one will do.
  if (thread.registers[REG.rflags]! & FLAG_IDENTIFICATION) new RemoteBatch(thread).run();
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
    // Those that were stopped are so already (stopped.ts).
    const stopped = saved.core.tc?.taskState === TASK_STATE.STOPPED;
    if (leaveStopped && !stopped) sendSignal(process.pid, SIGNAL.SIGSTOP);
  }
  for (const { process } of processes) tracer.release(process);
}
