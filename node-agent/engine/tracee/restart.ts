// What becomes of an interrupted system call: the kernel's own rules, as pure functions on registers.
// Sources: arch/x86/kernel/signal.c (arch_do_signal_or_restart), signal(7); shared rules with CRIU images in docs/adr/0004.
import {
  ARGUMENT_REGISTERS,
  REG,
  type Registers,
  SYS,
  SYSCALL_INSTRUCTION_BYTES,
  signed,
  unsigned,
} from '../arch/x86-64.ts';

/** Restart codes of the kernel; they never reach user space. include/linux/errno.h */
export const RESTART = {
  ERESTARTSYS: -512n,
  ERESTARTNOINTR: -513n,
  ERESTARTNOHAND: -514n,
  ERESTART_RESTARTBLOCK: -516n,
} as const;

const EINTR = -4n;
const NOT_IN_SYSCALL = unsigned(-1);

/** How the call in which a thread was stopped would go on. */
export type Interruption =
  | { readonly kind: 'none' }
  /** -512, -513, -514: the instruction is executed again */
  | { readonly kind: 'restart'; readonly call: number; readonly code: bigint }
  /** -516: the kernel holds a restart block with the time that is left */
  | { readonly kind: 'restart-block'; readonly call: number }
  /** the call answers -EINTR by itself although no handler ran */
  | { readonly kind: 'plain-eintr'; readonly call: number };

/**
 * Calls that return -EINTR to a ptrace stop without a restart code (signal(7), "interruption by stop signals", and
 * socket calls with SO_RCVTIMEO or SO_SNDTIMEO).
 */
const ANSWERS_EINTR: ReadonlySet<number> = new Set([
  SYS.epoll_wait,
  SYS.epoll_pwait,
  SYS.epoll_pwait2,
  SYS.rt_sigtimedwait,
  SYS.semop,
  SYS.semtimedop,
  SYS.msgsnd,
  SYS.msgrcv,
  SYS.io_getevents,
  SYS.io_pgetevents,
  SYS.io_uring_enter,
  SYS.read,
  SYS.write,
  SYS.connect,
  SYS.accept,
  SYS.accept4,
  SYS.sendto,
  SYS.recvfrom,
  SYS.sendmsg,
  SYS.recvmsg,
  SYS.recvmmsg,
  SYS.sendmmsg,
]);

/** Reads the registers of a thread at an event stop, before any signal was dequeued. */
export function interruption(registers: Registers): Interruption {
  const call = Number(signed(registers[REG.origRax]!));
  if (call < 0) return { kind: 'none' };
  const code = signed(registers[REG.rax]!);
  switch (code) {
    case RESTART.ERESTARTSYS:
    case RESTART.ERESTARTNOINTR:
    case RESTART.ERESTARTNOHAND:
      return { kind: 'restart', call, code };
    case RESTART.ERESTART_RESTARTBLOCK:
      return { kind: 'restart-block', call };
    case EINTR:
      return ANSWERS_EINTR.has(call) ? { kind: 'plain-eintr', call } : { kind: 'none' };
    default:
      return { kind: 'none' };
  }
}

/** The six arguments of the interrupted call; they are still in their registers. */
export function callArguments(registers: Registers): bigint[] {
  return ARGUMENT_REGISTERS.map((place) => registers[place]!);
}

/** The same thread, asking the kernel to decide: a handler that really runs gives EINTR, otherwise the call restarts. */
export function askKernelToRestart(registers: Registers): Registers {
  const out = BigUint64Array.from(registers);
  out[REG.rax] = unsigned(RESTART.ERESTARTNOHAND);
  return out;
}

function reexecute(registers: Registers, call: number): Registers {
  const out = BigUint64Array.from(registers);
  out[REG.rax] = BigInt(call);
  out[REG.rip] = out[REG.rip]! - SYSCALL_INSTRUCTION_BYTES;
  out[REG.origRax] = NOT_IN_SYSCALL;
  return out;
}

/**
 * Registers with which the thread may go on without the kernel's help, in the process where it was interrupted (the engine
 * has died): the call is made again as it was. A relative wait then lasts longer, which is no wrong answer. With
 * restart_syscall(2) it would last as long as it should, but often enough end with EINTR: the way back leads through
 * rt_sigreturn(2), by which the kernel forgets a restart block, if not that of this engine, then that of the next one.
 *
 * @param registers that name the call (seen-call.ts)
 */
export function resumableInPlace(registers: Registers): Registers {
  const state = interruption(registers);
  if (state.kind === 'restart' || state.kind === 'restart-block') {
    return reexecute(registers, state.call);
  }
  const out = BigUint64Array.from(registers);
  out[REG.origRax] = NOT_IN_SYSCALL;
  return out;
}

/**
 * Registers as a CRIU image holds them: interrupted calls are executed again, a call with a restart block ends with
 * EINTR because its remaining time is kernel state that no other process can inherit.
 */
export function resumableElsewhere(registers: Registers): Registers {
  const state = interruption(registers);
  if (state.kind === 'restart') return reexecute(registers, state.call);
  const out = BigUint64Array.from(registers);
  if (state.kind === 'restart-block') out[REG.rax] = unsigned(EINTR);
  return out;
}
