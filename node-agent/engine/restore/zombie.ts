// A zombie is rebuilt by letting its placeholder end the same way, before its parent learns to ignore children.
import { SYS } from '../arch/x86-64.ts';
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL, sendSignal, signalBit } from '../linux/signals.ts';
import { poll } from '../linux/wait.ts';
import { waitFor } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';

const TIMESPEC_BYTES = 16;
const MASK_BYTES = 8;

/** Ends a process with a wait status: an exit code, or the signal that killed it. */
export function endAs(status: number, process: TracedProcess, tracer: Tracer): void {
  const signal = status & 0x7f;
  if (signal === 0) {
    const batch = new RemoteBatch(process.leader);
    batch.call(SYS.exit_group, (status >> 8) & 0xff);
    batch.start();
    tracer.awaitEnd(process);
    return;
  }
  const { tid } = process.leader;
  ptrace.setSignalMask(tid, 0n);
  sendSignal(process.pid, signal);
  ptrace.resume(tid);
  waitFor(`the end of process ${process.pid} by signal ${signal}`, 10_000, () => {
    const waited = poll(tid);
    if (!waited) return undefined;
    if (waited.status.kind === 'killed' || waited.status.kind === 'exited') return true;
    ptrace.resume(tid, waited.status.kind === 'signal-stop' ? waited.status.signal : 0);
    return undefined;
  });
  tracer.drop(process);
}

/** Takes away the SIGCHLD that our own births and zombies left pending. */
export function drainChildSignals(batch: RemoteBatch): void {
  const mask = Buffer.alloc(MASK_BYTES);
  mask.writeBigUInt64LE(signalBit(SIGNAL.SIGCHLD), 0);
  batch.call(SYS.rt_sigtimedwait, batch.bytes(mask), 0, batch.space(TIMESPEC_BYTES), MASK_BYTES);
}
