// ptrace(2) requests, typed. Every one must come from the OS thread that attached; the engine has only one.
import { NT_X86_XSTATE, REGISTER_WORDS, type Registers, SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, syscall, type Word } from './ffi.ts';

/** Requests, include/uapi/linux/ptrace.h. */
const PTRACE = {
  PEEKDATA: 2,
  POKEDATA: 5,
  CONT: 7,
  GETREGS: 12,
  SETREGS: 13,
  DETACH: 17,
  SYSCALL: 24,
  SETOPTIONS: 0x4200,
  GETEVENTMSG: 0x4201,
  GETREGSET: 0x4204,
  SETREGSET: 0x4205,
  SEIZE: 0x4206,
  INTERRUPT: 0x4207,
  LISTEN: 0x4208,
  PEEKSIGINFO: 0x4209,
  GETSIGMASK: 0x420a,
  SETSIGMASK: 0x420b,
  SECCOMP_GET_FILTER: 0x420c,
  SECCOMP_GET_METADATA: 0x420d,
  GET_RSEQ_CONFIGURATION: 0x420f,
  GET_SYSCALL_USER_DISPATCH_CONFIG: 0x4211,
} as const;

/** PTRACE_O_* bits. */
export const TRACE_OPTION = {
  SYSGOOD: 1,
  FORK: 2,
  VFORK: 4,
  CLONE: 8,
  EXEC: 16,
  VFORKDONE: 32,
  EXITKILL: 0x100000,
  SUSPEND_SECCOMP: 0x200000,
} as const;

const SIGINFO_BYTES = 128;
const SOCK_FILTER_BYTES = 8;
const ENOENT = 2;
const EINVAL = 22;
/** largest XSAVE area known today (AMX: 8 KiB of tiles) with room to spare; also the largest seccomp program */
const XSTATE_MAX_BYTES = 32768;

// One tracer thread, synchronous calls: a single scratch area serves them all.
const scratch = allocate(4096);
const bulk = allocate(XSTATE_MAX_BYTES);
const registerWords = scratch.words.subarray(64, 64 + REGISTER_WORDS);
const registerAddress = scratch.address + 512n;

function request(name: keyof typeof PTRACE, tid: number, addr: Word = 0, data: Word = 0): number {
  return syscall(SYS.ptrace, PTRACE[name], tid, addr, data);
}

function must(name: keyof typeof PTRACE, tid: number, addr: Word = 0, data: Word = 0): number {
  return check(request(name, tid, addr, data), `ptrace(${name})`, { pid: tid });
}

/** Attaches without stopping (Linux 3.4). Returns false when the thread is gone. */
export function seize(tid: number, options: number): boolean {
  const result = request('SEIZE', tid, 0, options);
  if (result === 0) return true;
  const error = new LinuxError('ptrace(SEIZE)', -result, { pid: tid });
  if (error.errno === 'ESRCH') return false;
  throw error;
}

/** Asks a seized thread to stop; false when it is gone. */
export const interrupt = (tid: number): boolean => request('INTERRUPT', tid) === 0;
/** Lets a thread in a group stop stay there, yet report what happens to it. */
export const listen = (tid: number): boolean => request('LISTEN', tid) === 0;
/** Lets a stopped thread run on, delivering `signal` when not 0; false when it is gone (SIGKILL). */
export const resume = (tid: number, signal = 0): boolean => request('CONT', tid, 0, signal) === 0;
/** As {@link resume}, up to the next entry to or exit from a system call. */
export const resumeToSyscall = (tid: number, signal = 0): boolean =>
  request('SYSCALL', tid, 0, signal) === 0;
/** Ends tracing; false when the thread is gone. */
export const detach = (tid: number, signal = 0): boolean => request('DETACH', tid, 0, signal) === 0;

export function setOptions(tid: number, options: number): void {
  must('SETOPTIONS', tid, 0, options);
}

/** New pid after a fork event, in the tracer's pid namespace. */
export function eventMessage(tid: number): number {
  must('GETEVENTMSG', tid, 0, scratch.address);
  return Number(scratch.words[0]);
}

export function getRegisters(tid: number): Registers {
  must('GETREGS', tid, 0, registerAddress);
  return BigUint64Array.from(registerWords);
}

export function setRegisters(tid: number, registers: Registers): void {
  registerWords.set(registers);
  must('SETREGS', tid, 0, registerAddress);
}

/** The real blocked mask, also of a thread inside ppoll or sigsuspend (Linux 3.11). Bit n-1 is signal n. */
export function getSignalMask(tid: number): bigint {
  must('GETSIGMASK', tid, 8, scratch.address);
  return scratch.words[0] as bigint;
}

export function setSignalMask(tid: number, mask: bigint): void {
  scratch.words[0] = mask;
  must('SETSIGMASK', tid, 8, scratch.address);
}

/** Pending signals as raw 128-byte siginfo: of the whole process (`shared`) or of the thread. */
export function pendingSignals(tid: number, shared: boolean): Buffer[] {
  const found: Buffer[] = [];
  const batch = 32;
  for (;;) {
    scratch.view.setBigUint64(0, BigInt(found.length), true);
    scratch.view.setUint32(8, shared ? 1 : 0, true);
    scratch.view.setInt32(12, batch, true);
    const count = must('PEEKSIGINFO', tid, scratch.address, bulk.address);
    for (let k = 0; k < count; k++) {
      found.push(Buffer.from(bulk.bytes.subarray(k * SIGINFO_BYTES, (k + 1) * SIGINFO_BYTES)));
    }
    if (count < batch) return found;
  }
}

/** The XSAVE area in standard format, as large as the kernel makes it. */
export function getXstate(tid: number): Buffer {
  scratch.words[0] = bulk.address;
  scratch.words[1] = BigInt(bulk.length);
  must('GETREGSET', tid, NT_X86_XSTATE, scratch.address);
  return Buffer.from(bulk.bytes.subarray(0, Number(scratch.words[1])));
}

export function setXstate(tid: number, xstate: Uint8Array): void {
  bulk.bytes.set(xstate);
  scratch.words[0] = bulk.address;
  scratch.words[1] = BigInt(xstate.length);
  must('SETREGSET', tid, NT_X86_XSTATE, scratch.address);
}

export interface RseqConfiguration {
  readonly address: bigint;
  readonly length: number;
  readonly signature: number;
  readonly flags: number;
}

/** rseq registration of a thread, undefined when it has none (Linux 5.13). */
export function rseqConfiguration(tid: number): RseqConfiguration | undefined {
  must('GET_RSEQ_CONFIGURATION', tid, 24, scratch.address);
  const address = scratch.words[0] as bigint;
  if (address === 0n) return undefined;
  return {
    address,
    length: scratch.view.getUint32(8, true),
    signature: scratch.view.getUint32(12, true),
    flags: scratch.view.getUint32(16, true),
  };
}

/** struct ptrace_sud_config, include/uapi/linux/ptrace.h */
const DISPATCH_CONFIG_BYTES = 32;

/** Does it answer system calls itself, syscall user dispatch (Linux 5.11)? Before 6.4 nobody can tell. */
export function dispatchesSystemCalls(tid: number): boolean {
  const { address } = scratch;
  const result = request('GET_SYSCALL_USER_DISPATCH_CONFIG', tid, DISPATCH_CONFIG_BYTES, address);
  return result >= 0 && scratch.words[0] !== 0n;
}

/** A thread's seccomp filters, oldest first (Linux 4.4; their flags 4.16). Needs CAP_SYS_ADMIN and no filter of our own. */
export function seccompFilters(
  tid: number,
): { readonly program: Buffer; readonly flags: number }[] {
  const filters: { program: Buffer; flags: number }[] = [];
  for (;;) {
    const length = request('SECCOMP_GET_FILTER', tid, filters.length, bulk.address);
    // EINVAL: no filters at all; ENOENT: no more of them
    if (length === -EINVAL || length === -ENOENT) return filters;
    check(length, 'ptrace(SECCOMP_GET_FILTER)', { pid: tid });
    const program = Buffer.from(bulk.bytes.subarray(0, length * SOCK_FILTER_BYTES));
    scratch.words[0] = BigInt(filters.length);
    scratch.words[1] = 0n;
    must('SECCOMP_GET_METADATA', tid, 16, scratch.address);
    filters.push({ program, flags: Number(scratch.words[1]) });
  }
}

/** Writes one word into memory whatever its protection (the kernel forces it); used for words the kernel owns. */
export function pokeWord(tid: number, address: bigint, word: bigint): void {
  must('POKEDATA', tid, address, word);
}
