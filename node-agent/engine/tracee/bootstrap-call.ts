// One system call in a stopped thread with nothing of ours in its memory: through the vDSO's own `syscall` instruction.
import { ARGUMENT_REGISTERS, REG, SYSCALL_INSTRUCTION, signed, unsigned } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import type { Word } from '../linux/ffi.ts';
import { readMemory, type TraceeAddress } from '../linux/process-memory.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import * as ptrace from '../linux/ptrace.ts';
import { ALL_SIGNALS } from '../linux/signals.ts';
import { awaitStop, type RemoteEvents, TraceeError } from './remote-run.ts';
import { syscallName } from './syscall-name.ts';
import type { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';
import { armWayBack } from './way-back.ts';

/** A `syscall` instruction that the process can be sent to. */
export function bootstrapAddress(process: TracedProcess): TraceeAddress {
  process.bootstrapAddress ??= findInstruction(process);
  return process.bootstrapAddress;
}

function findInstruction(process: TracedProcess): TraceeAddress {
  const vdso = readMaps(process.pid).find((m) => m.name === '[vdso]');
  // A program may have unmapped it; then the one in its C library must do
  if (!vdso && process.wayBack) return process.wayBack.syscallRet;
  if (!vdso) throw new Error(`process ${process.pid} has no vDSO to make system calls with`);
  const code = readMemory(process.pid, vdso.start, Number(vdso.end - vdso.start));
  const at = code.indexOf(SYSCALL_INSTRUCTION);
  if (at < 0) throw new Error(`the vDSO of process ${process.pid} has no syscall instruction`);
  return vdso.start + BigInt(at);
}

/**
 * Makes one system call in a stopped thread. No code is written and no signal is raised: the thread runs from one
 * system call stop to the next. If the engine is killed in between, the thread finds its way back by a signal frame on
 * its own stack (way-back.ts); where it has none, it goes on with foreign registers. So this is used for nothing but
 * mapping and unmapping the interpreter (25 to 130 us each), and for what no mapping can do.
 *
 * @returns the kernel's answer, `-errno` on failure
 */
export function bootstrapCall(
  thread: TracedThread,
  nr: number,
  args: readonly Word[],
  events: RemoteEvents = { born: undefined, exec: false },
): bigint {
  const { process, tid } = thread;
  thread.saveBeforeUse();
  const registers = BigUint64Array.from(thread.registers);
  const way = process.wayBack && armWayBack(thread, process.wayBack);
  registers[REG.rax] = BigInt(nr);
  registers[REG.origRax] = unsigned(-1);
  registers[REG.rip] = way?.rip ?? bootstrapAddress(process);
  if (way) registers[REG.rsp] = way.rsp;
  ARGUMENT_REGISTERS.forEach((place, i) => {
    registers[place] = unsigned(args[i] ?? 0);
  });
  thread.sendTo(registers, ALL_SIGNALS);
  thread.place = 'syscall';
  for (const _edge of ['entry', 'exit'] as const) {
    if (!ptrace.resumeToSyscall(tid)) throw new TraceeError(tid, { kind: 'killed', signal: 9 });
    awaitStop(thread, { kind: 'syscall-stop' }, events);
  }
  return signed(ptrace.getRegisters(tid)[REG.rax]!);
}

/** As {@link bootstrapCall}, throws when the call failed. */
export function mustBootstrap(
  thread: TracedThread,
  nr: number,
  args: readonly Word[],
  events?: RemoteEvents,
): bigint {
  const result = bootstrapCall(thread, nr, args, events);
  if (result < 0n) {
    throw new LinuxError(`remote ${syscallName(nr)}`, Number(-result), { pid: thread.process.pid });
  }
  return result;
}

/**
 * Brings a thread whose last stop was a system call or a birth into the kernel's signal loop, where registers written back
 * are judged by the kernel's restart rules.
 */
export function settle(thread: TracedThread): void {
  if (thread.place === 'signal-loop') return;
  ptrace.interrupt(thread.tid);
  if (!ptrace.resume(thread.tid)) throw new TraceeError(thread.tid, { kind: 'killed', signal: 9 });
  awaitStop(thread, { kind: 'event-stop' }, { born: undefined, exec: false });
  thread.place = 'signal-loop';
}
