// Which call a thread was in before it was stopped. A second stop finds it in restart_syscall(2), and only the kernel knows
// what that goes on with.
import { REG, type Registers, SYS, signed } from '../arch/x86-64.ts';
import { tryReadProc } from '../linux/procfs/read.ts';
import { callArguments, interruption } from './restart.ts';

export interface SeenCall {
  /** never restart_syscall(2), but what that goes on with */
  readonly call: number;
  /** its arguments, stack pointer and instruction pointer as /proc/PID/syscall shows them; a restart keeps them all */
  readonly place: string;
}

/**
 * The call in which a running thread sleeps, undefined when it is in none.
 *
 * @param task its folder in /proc
 */
export function seenCall(task: string): SeenCall | undefined {
  const [number, ...rest] = (tryReadProc(`${task}/syscall`) ?? '').trim().split(' ');
  if (!number || rest.length === 0) return undefined;
  const place = rest.join(' ');
  const call = Number(number);
  if (call !== SYS.restart_syscall) return { call, place };
  const restarted = restartedCall(tryReadProc(`${task}/stack`) ?? '', Number(rest[0]));
  return restarted === undefined ? undefined : { call: restarted, place };
}

/** The call in which a stopped thread was interrupted, undefined when its registers do not tell. */
export function interruptedCall(registers: Registers): SeenCall | undefined {
  const state = interruption(registers);
  if (state.kind !== 'restart-block' || state.call === SYS.restart_syscall) return undefined;
  return { call: state.call, place: placeOf(registers) };
}

function placeOf(registers: Registers): string {
  const words = [...callArguments(registers), registers[REG.rsp]!, registers[REG.rip]!];
  return words.map((word) => `0x${word.toString(16)}`).join(' ');
}

/**
 * Registers that tell which call was interrupted, also when that was restart_syscall(2): no other process inherits what
 * the kernel would go on with, nor does a thread that comes back by rt_sigreturn(2).
 *
 * @param seen where the thread was seen before: if it is still there, it is still that call
 */
export function namedRegisters(registers: Registers, seen: SeenCall | undefined): Registers {
  const isRestarted = Number(signed(registers[REG.origRax]!)) === SYS.restart_syscall;
  if (!isRestarted || seen?.place !== placeOf(registers)) return registers;
  const named = BigUint64Array.from(registers);
  named[REG.origRax] = BigInt(seen.call);
  return named;
}

/** Above every clock id there is, below every address. */
const FIRST_ADDRESS = 4096;

/**
 * What a thread in restart_syscall(2) goes on with: after a stop the kernel knows it, but the registers only hold the
 * arguments of that call.
 *
 * @param stack text of /proc/PID/task/TID/stack
 * @param first its first argument: nanosleep(2) has an address there, clock_nanosleep(2) a clock
 */
export function restartedCall(stack: string, first: number): number | undefined {
  if (/\bfutex_wait_restart\b/.test(stack)) return SYS.futex;
  if (/\bdo_restart_poll\b/.test(stack)) return SYS.poll;
  // Sleeps are all that is left: their restart functions end in the call of another one, so no stack names them.
  if (stack.trim() === '') return undefined;
  return first >= FIRST_ADDRESS ? SYS.nanosleep : SYS.clock_nanosleep;
}
