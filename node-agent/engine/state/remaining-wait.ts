// How long an interrupted sleep still has to last: kernel state that no register and no memory holds.
import { SYS } from '../arch/x86-64.ts';
import { readMemory } from '../linux/process-memory.ts';
import { callArguments, interruption } from '../tracee/restart.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import { voluntarySwitches, type WaitObservation } from '../tracee/wait-observation.ts';
import type { ThreadKind, ThreadSubject } from './state-kind.ts';

const NANOS_PER_SECOND = 1_000_000_000n;
const NANOS_PER_MILLI = 1_000_000;
/** The clock that the scheduler reads is not corrected; NTP slows the other one by so much at most (adjtimex(2)). */
const LARGEST_CLOCK_SLEW = 0.0005;
const FUTEX_CMD_MASK = 127n;
const FUTEX_WAIT = 0n;

const timespecAt = (thread: TracedThread, at: bigint): bigint => {
  const bytes = readMemory(thread.process.pid, at, 16);
  return bytes.readBigInt64LE(0) * NANOS_PER_SECOND + bytes.readBigInt64LE(8);
};

/** Where the kernel wrote what was left when it interrupted the call: nanosleep(2), `rem`. */
function writtenByKernel(call: number, args: readonly bigint[]): bigint {
  if (call === SYS.nanosleep) return args[1]!;
  if (call === SYS.clock_nanosleep) return args[3]!;
  return 0n;
}

/** The whole time-out of a relative wait, nanoseconds; undefined when it is absolute or endless. */
function wholeTimeout(
  thread: TracedThread,
  call: number,
  args: readonly bigint[],
): bigint | undefined {
  switch (call) {
    case SYS.nanosleep:
      return timespecAt(thread, args[0]!);
    case SYS.clock_nanosleep:
      return timespecAt(thread, args[2]!);
    case SYS.futex:
      return (args[1]! & FUTEX_CMD_MASK) === FUTEX_WAIT && args[3] !== 0n
        ? timespecAt(thread, args[3]!)
        : undefined;
    case SYS.poll:
      return BigInt.asIntN(32, args[2]!) < 0n
        ? undefined
        : BigInt.asIntN(32, args[2]!) * BigInt(NANOS_PER_MILLI);
    default:
      return undefined;
  }
}

/**
 * Time that a thread has waited, when it is certain that it is still the wait that was seen before the freeze: the stop
 * itself is the one context switch since then.
 */
function elapsedNanos(
  wait: WaitObservation,
  statusText: string,
  atMillis: number,
): bigint | undefined {
  if (wait.sinceMillis === undefined) return undefined;
  if (voluntarySwitches(statusText) !== wait.switches + 1) return undefined;
  const millis = (atMillis - wait.sinceMillis) * (1 - LARGEST_CLOCK_SLEW);
  return BigInt(Math.max(0, Math.round(millis * NANOS_PER_MILLI)));
}

/** Unknown remaining time is left out; the restored wait then lasts its whole time again, never too short. */
export const remainingWait: ThreadKind = {
  name: 'remaining-wait',
  scope: 'thread',
  stage: 'final',

  collect(subject) {
    const { thread } = subject;
    const state = interruption(thread.namedRegisters);
    if (state.kind !== 'restart-block') return () => {};
    const args = callArguments(thread.registers);
    const left = leftAt(subject, state.call, args);
    return ({ threadCore }) => {
      const nanos = left();
      if (nanos !== undefined) threadCore.waitRemainingNs = nanos;
    };
  },

  /** Done by the very last step, when nothing else runs in the thread any more (restore/rearm.ts). */
  restore() {},
};

/** Takes the facts at once; what is left of the wait then is worked out later. */
function leftAt(
  subject: ThreadSubject,
  call: number,
  args: readonly bigint[],
): () => bigint | undefined {
  const { thread } = subject;
  const written = writtenByKernel(call, args);
  if (written !== 0n) {
    const left = timespecAt(thread, written);
    return () => left;
  }
  const whole = wholeTimeout(thread, call, args);
  const { wait } = thread;
  if (whole === undefined || wait?.call !== call) return () => undefined;
  const statusText = subject.statusText();
  const atMillis = performance.now();
  return () => {
    const elapsed = elapsedNanos(wait, statusText, atMillis);
    return elapsed === undefined || elapsed >= whole ? undefined : whole - elapsed;
  };
}
