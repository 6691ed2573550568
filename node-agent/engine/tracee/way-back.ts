// What a thread needs to become the application's again by itself if the engine dies during a bootstrap call: a signal frame
// on its own stack, and the two pieces of the application's own code that lead to it.
import { closeSync, openSync, readSync } from 'node:fs';
import { REG, type Registers } from '../arch/x86-64.ts';
import { readMemory, type TraceeAddress, writeMemory } from '../linux/process-memory.ts';
import { type Mapping, readMaps } from '../linux/procfs/maps.ts';
import { getXstate } from '../linux/ptrace.ts';
import { resumableInPlace } from './restart.ts';
import type { TracedThread } from './traced-thread.ts';

/** `syscall; ret`: any small system call wrapper of a C library has it. */
const SYSCALL_RET = Buffer.from([0x0f, 0x05, 0xc3]);
/** `mov $15, %rax; syscall`: the signal return stub of glibc and musl. */
const SIGRETURN = Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]);
const CHUNK_BYTES = 1 << 20;
/** Some programs have hundreds of MiB of text; by then the C library has been searched. */
const MAX_SEARCHED_BYTES = 64 << 20;

const MAIN_STACK = '[stack]';

/** Leaf functions may keep data so far below the stack pointer (System V ABI, "red zone"). */
const RED_ZONE_BYTES = 128n;
const FRAME_BYTES = 16384n;

/** struct rt_sigframe and what it holds: arch/x86/include/uapi/asm/{ucontext,sigcontext}.h, offsets in bytes. */
const FRAME = {
  returnTo: 0,
  flags: 8,
  stackFlags: 32,
  context: 48,
  signalMask: 304,
  size: 440,
} as const;
const UC_FP_XSTATE_SIGCONTEXT_SS_STRICT = 7n;
/** makes the kernel leave the alternate stack alone: an invalid request is ignored there */
const NO_SUCH_STACK_FLAGS = 0xff;
const CONTEXT_ORDER = [
  REG.r8,
  REG.r9,
  REG.r10,
  REG.r11,
  REG.r12,
  REG.r13,
  REG.r14,
  REG.r15,
  REG.rdi,
  REG.rsi,
  REG.rbp,
  REG.rbx,
  REG.rdx,
  REG.rax,
  REG.rcx,
  REG.rsp,
  REG.rip,
  REG.rflags,
] as const;
const CONTEXT_SEGMENTS = CONTEXT_ORDER.length * 8;
const CONTEXT_FPSTATE = 184;

const FP_SOFTWARE_BYTES = 464;
const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
const FP_HEADER_AT = 512;
/** without the AMX tiles, which a thread may only have after asking for them */
const FP_COMMON_BYTES = 2696;

/** Where the code is. Found while the application runs. */
export interface WayBack {
  readonly syscallRet: TraceeAddress;
  readonly sigreturn: TraceeAddress;
  /** the main stack as it was then, on which most are; it only grows */
  readonly mainStack: Mapping | undefined;
}

/**
 * Looks for a way back; undefined when the program has none: then a bootstrap call keeps its window of 25
 * to 130 us in which the death of the engine would end the application.
 */
export function findWayBack(pid: number, mappings: readonly Mapping[]): WayBack | undefined {
  const texts = mappings.filter((m) => m.executable && !m.writable && m.name.startsWith('/'));
  // The stubs are in the C library or, without one, in the runtime: the small texts are the likely ones.
  texts.sort((a, b) => Number(a.end - a.start - (b.end - b.start)));
  let syscallRet: TraceeAddress | undefined;
  let sigreturn: TraceeAddress | undefined;
  for (const { at, bytes } of chunksOf(pid, texts)) {
    syscallRet ??= within(bytes, SYSCALL_RET, at);
    sigreturn ??= within(bytes, SIGRETURN, at);
    if (syscallRet === undefined || sigreturn === undefined) continue;
    return { syscallRet, sigreturn, mainStack: mappings.find(({ name }) => name === MAIN_STACK) };
  }
  return undefined;
}

/** A way back that was looked for while the process ran, and what was mapped then. */
export interface FoundWayBack {
  readonly wayBack: WayBack | undefined;
  readonly mappings: readonly Mapping[];
}

/** To look takes milliseconds in a large program: it is done before a thread stops. */
export function likelyWayBack(pid: number): FoundWayBack {
  const mappings = readMaps(pid);
  return { wayBack: findWayBack(pid, mappings), mappings };
}

/**
 * For a process with a stopped thread: by exec(2) it may have become another program since, in which the old addresses lead
 * nowhere.
 */
export function confirmWayBack(
  pid: number,
  { wayBack, mappings }: FoundWayBack,
): WayBack | undefined {
  const now = readMaps(pid);
  return wayBack && isStillThere(wayBack, mappings, now) ? wayBack : findWayBack(pid, now);
}

/** Do the same texts and the same stack lie there? Pure. */
export function isStillThere(
  { syscallRet, sigreturn, mainStack }: WayBack,
  before: readonly Mapping[],
  now: readonly Mapping[],
): boolean {
  const textAt = (mappings: readonly Mapping[], at: TraceeAddress): string | undefined => {
    const text = mappings.find(({ start, end }) => start <= at && at < end);
    return text && [text.start, text.end, text.offset, text.device, text.inode].join(' ');
  };
  const stack = now.find(({ name }) => name === MAIN_STACK);
  return (
    [syscallRet, sigreturn].every((at) => textAt(before, at) === textAt(now, at)) &&
    stack?.end === mainStack?.end
  );
}

function within(text: Buffer, code: Buffer, start: TraceeAddress): TraceeAddress | undefined {
  const at = text.indexOf(code);
  return at < 0 ? undefined : start + BigInt(at);
}

interface Piece {
  readonly at: TraceeAddress;
  readonly bytes: Buffer;
}

/** Text as the process sees it (a file may have been replaced since), in pieces that overlap by the longest code. */
function* chunksOf(pid: number, texts: readonly Mapping[]): Generator<Piece> {
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (const { at, length } of places(texts)) {
      const got = tryRead(fd, buffer, length, at);
      if (got > 0) yield { at, bytes: buffer.subarray(0, got) };
    }
  } finally {
    closeSync(fd);
  }
}

function* places(texts: readonly Mapping[]): Generator<{ at: TraceeAddress; length: number }> {
  const step = BigInt(CHUNK_BYTES - SIGRETURN.length);
  let left = MAX_SEARCHED_BYTES;
  for (const { start, end } of texts) {
    for (let at = start; at < end && left > 0; at += step) {
      const length = Math.min(CHUNK_BYTES, Number(end - at));
      left -= length;
      yield { at, length };
    }
  }
}

/** A mapping may be gone, or end behind its file. */
function tryRead(fd: number, buffer: Buffer, length: number, at: TraceeAddress): number {
  try {
    return readSync(fd, buffer, 0, length, at);
  } catch {
    return 0;
  }
}

/**
 * Writes a signal frame with the thread's true state below its stack pointer, where memory is dead, and gives the
 * registers that lead there: `syscall; ret` pops the frame's return address, which is the program's own signal return stub.
 *
 * Event order if the engine dies: 1. the thread runs on behind the system call; 2. `ret`; 3. rt_sigreturn(2) brings back
 * registers, FPU state and signal mask. If it does not die, the next stop comes before 2.
 *
 * @returns undefined when the thread is on no stack that we know as one, or has no room there
 */
export function armWayBack(
  thread: TracedThread,
  way: WayBack,
): { readonly rip: TraceeAddress; readonly rsp: TraceeAddress } | undefined {
  const rsp = thread.registers[REG.rsp]!;
  const floor = rsp - RED_ZONE_BYTES - FRAME_BYTES;
  const stack = holds(way.mainStack, rsp) ? way.mainStack : stackOf(thread);
  if (!stack || floor < stack.start) return undefined;
  const fpstate = fpuFrame(getXstate(thread.tid));
  const fpAt = (rsp - RED_ZONE_BYTES - BigInt(fpstate.length)) & ~63n;
  const frameAt = (fpAt - BigInt(FRAME.size)) & ~15n;
  const frame = signalFrame(
    resumableInPlace(thread.namedRegisters),
    thread.signalMask,
    way.sigreturn,
    fpAt,
  );
  writeMemory(thread.process.pid, fpAt, fpstate);
  writeMemory(thread.process.pid, frameAt, frame);
  return { rip: way.syscallRet, rsp: frameAt };
}

/**
 * The stack that a thread is on, below whose stack pointer nothing lives: the main one, or one that a C library made. A
 * pointer into anything else (the heap of a runtime with many small stacks) would have live data below.
 */
function stackOf(thread: TracedThread): Mapping | undefined {
  const rsp = thread.registers[REG.rsp]!;
  const mappings = readMaps(thread.process.pid);
  const at = mappings.findIndex((mapping) => holds(mapping, rsp));
  const mapping = mappings[at];
  if (mapping?.name === MAIN_STACK) return mapping;
  return mapping && isThreadStack(thread, mapping, mappings[at - 1]) ? mapping : undefined;
}

const holds = (stack: Mapping | undefined, rsp: bigint): stack is Mapping =>
  stack !== undefined && rsp > stack.start && rsp <= stack.end;

/**
 * C libraries put the thread's control block at the upper end of its stack, a guard at the lower; the control block begins
 * with its own address (ELF Handling For Thread-Local Storage, x86-64).
 */
function isThreadStack(
  thread: TracedThread,
  mapping: Mapping,
  below: Mapping | undefined,
): boolean {
  const control = thread.registers[REG.fsBase]!;
  const rsp = thread.registers[REG.rsp]!;
  const guarded = below?.end === mapping.start && !below.readable && !below.writable;
  if (!guarded || !mapping.writable || mapping.shared || mapping.inode !== 0n) return false;
  if (control <= rsp || control + 8n > mapping.end) return false;
  return readMemory(thread.process.pid, control, 8).readBigUInt64LE(0) === control;
}

function signalFrame(registers: Registers, mask: bigint, returnTo: bigint, fpAt: bigint): Buffer {
  const frame = Buffer.alloc(FRAME.size);
  frame.writeBigUInt64LE(returnTo, FRAME.returnTo);
  frame.writeBigUInt64LE(UC_FP_XSTATE_SIGCONTEXT_SS_STRICT, FRAME.flags);
  frame.writeUInt32LE(NO_SUCH_STACK_FLAGS, FRAME.stackFlags);
  CONTEXT_ORDER.forEach((place, i) =>
    frame.writeBigUInt64LE(registers[place]!, FRAME.context + i * 8),
  );
  const segments = FRAME.context + CONTEXT_SEGMENTS;
  frame.writeUInt16LE(Number(registers[REG.cs]), segments);
  frame.writeUInt16LE(Number(registers[REG.ss]), segments + 6);
  frame.writeBigUInt64LE(fpAt, FRAME.context + CONTEXT_FPSTATE);
  frame.writeBigUInt64LE(mask, FRAME.signalMask);
  return frame;
}

/** The XSAVE area as the kernel wants it in a signal frame: with its size and features between two magic numbers. */
function fpuFrame(xstate: Buffer): Buffer {
  const size = xstate.length > 2 * FP_COMMON_BYTES ? FP_COMMON_BYTES : xstate.length;
  const frame = Buffer.alloc(size + 4);
  xstate.copy(frame, 0, 0, size);
  const features = xstate.readBigUInt64LE(FP_SOFTWARE_BYTES);
  frame.fill(0, FP_SOFTWARE_BYTES, FP_HEADER_AT);
  frame.writeUInt32LE(FP_XSTATE_MAGIC1, FP_SOFTWARE_BYTES);
  frame.writeUInt32LE(size + 4, FP_SOFTWARE_BYTES + 4);
  frame.writeBigUInt64LE(features, FP_SOFTWARE_BYTES + 8);
  frame.writeUInt32LE(size, FP_SOFTWARE_BYTES + 16);
  frame.writeUInt32LE(FP_XSTATE_MAGIC2, size);
  return frame;
}
