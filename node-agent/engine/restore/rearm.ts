// A thread that slept with a restart block gets a genuine one: its own call is made again, with the time that is left, and
// interrupted, so that the kernel itself holds the state that no image can carry.
import { ARGUMENT_REGISTERS, REG, SYS, signed, unsigned } from '../arch/x86-64.ts';
import { readMemory, type TraceeAddress, writeMemory } from '../linux/process-memory.ts';
import * as ptrace from '../linux/ptrace.ts';
import { ALL_SIGNALS } from '../linux/signals.ts';
import { bootstrapAddress, settle } from '../tracee/bootstrap-call.ts';
import { awaitStop, TraceeError } from '../tracee/remote-run.ts';
import { callArguments, interruption, RESTART } from '../tracee/restart.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';

const NANOS_PER_SECOND = 1_000_000_000n;
const NANOS_PER_MILLI = 1_000_000n;
const FUTEX_CMD_MASK = 127n;
const FUTEX_WAIT = 0n;
const TIMER_ABSTIME = 1n;

/** The call to make again; `timeoutAt` says which argument must point to the remaining time. */
interface Plan {
  readonly call: number;
  readonly args: bigint[];
  readonly timeoutArgument?: number;
}

/**
 * What to call so that the same wait goes on.
 *
 * @param remainingNanos undefined when unknown: a relative wait then begins anew in full, never too short
 */
export function plan(
  call: number,
  args: readonly bigint[],
  remainingNanos: bigint | undefined,
): Plan | undefined {
  switch (call) {
    case SYS.nanosleep:
      return { call, args: [...args], timeoutArgument: 0 };
    case SYS.clock_nanosleep:
      // Only relative sleeps have a restart block; absolute ones restart by themselves.
      return args[1] === TIMER_ABSTIME ? undefined : { call, args: [...args], timeoutArgument: 2 };
    case SYS.futex: {
      const relative = (args[1]! & FUTEX_CMD_MASK) === FUTEX_WAIT;
      return relative ? { call, args: [...args], timeoutArgument: 3 } : { call, args: [...args] };
    }
    case SYS.poll:
      return {
        call,
        args: [
          args[0]!,
          args[1]!,
          remainingNanos === undefined ? args[2]! : remainingNanos / NANOS_PER_MILLI,
        ],
      };
    default:
      return undefined;
  }
}

/**
 * Re-arms a thread whose saved registers say ERESTART_RESTARTBLOCK. Must be the last remote work in that thread. A wait
 * that is over by now ends with its honest result.
 *
 * @param scratch 16 bytes in the tracee for the remaining time
 * @returns whether the thread had to be re-armed
 */
export function rearm(
  thread: TracedThread,
  scratch: TraceeAddress,
  remainingNanos: bigint | undefined,
): boolean {
  const saved = thread.registers;
  const state = interruption(saved);
  if (state.kind !== 'restart-block') return false;
  const again = plan(state.call, callArguments(saved), remainingNanos);
  if (!again) {
    // No such call is known to leave a restart block; EINTR is what CRIU would give.
    giveResult(thread, unsigned(-4));
    return true;
  }
  if (again.timeoutArgument !== undefined) {
    const at = again.timeoutArgument;
    const left = remainingNanos ?? readTimespec(thread, again.args[at]!);
    writeMemory(thread.process.pid, scratch, timespec(left));
    again.args[at] = scratch;
  }
  const result = interruptedCall(thread, again);
  if (result !== RESTART.ERESTART_RESTARTBLOCK) giveResult(thread, unsigned(result));
  return true;
}

/** Sets the call going and interrupts it; -516 when it sleeps, else its result. */
function interruptedCall(thread: TracedThread, { call, args }: Plan): bigint {
  const { tid, process } = thread;
  settle(thread);
  const registers = BigUint64Array.from(thread.registers);
  registers[REG.rax] = BigInt(call);
  registers[REG.origRax] = unsigned(-1);
  registers[REG.rip] = bootstrapAddress(process);
  ARGUMENT_REGISTERS.forEach((place, i) => {
    registers[place] = args[i] ?? 0n;
  });
  const events = { born: undefined, exec: false };
  ptrace.setSignalMask(tid, ALL_SIGNALS);
  ptrace.setRegisters(tid, registers);
  if (!ptrace.resumeToSyscall(tid)) throw new TraceeError(tid, { kind: 'killed', signal: 9 });
  awaitStop(thread, { kind: 'syscall-stop' }, events);
  // From the entry stop on: the interrupt comes while it sleeps, or before, with the same answer.
  ptrace.interrupt(tid);
  if (!ptrace.resume(tid)) throw new TraceeError(tid, { kind: 'killed', signal: 9 });
  awaitStop(thread, { kind: 'event-stop' }, events);
  thread.place = 'signal-loop';
  return signed(ptrace.getRegisters(tid)[REG.rax]!);
}

function giveResult(thread: TracedThread, result: bigint): void {
  const registers = BigUint64Array.from(thread.registers);
  registers[REG.rax] = result;
  registers[REG.origRax] = unsigned(-1);
  thread.registers = registers;
}

function readTimespec(thread: TracedThread, at: TraceeAddress): bigint {
  const bytes = readMemory(thread.process.pid, at, 16);
  return bytes.readBigInt64LE(0) * NANOS_PER_SECOND + bytes.readBigInt64LE(8);
}

function timespec(nanos: bigint): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(nanos / NANOS_PER_SECOND, 0);
  bytes.writeBigInt64LE(nanos % NANOS_PER_SECOND, 8);
  return bytes;
}
