// What an engine that was killed left in a program: its interpreter's mapping, which nobody uses any more.
import { interpreter } from '../../../shim/shim.generated.ts';
import { REG, SYS } from '../arch/x86-64.ts';
import { readMemory, type TraceeAddress } from '../linux/process-memory.ts';
import { type Mapping, readMaps } from '../linux/procfs/maps.ts';
import { RemoteBatch } from './remote-batch.ts';
import { HOME } from './resident.ts';
import type { TracedProcess } from './traced-process.ts';
import type { TracedThread } from './traced-thread.ts';

/** A handler that began in the interpreter is at most so deep in its own calls. */
const MAX_STACK_BYTES = 1 << 20;

const code = Buffer.from(interpreter.bytesBase64, 'base64');

/**
 * Looks while the application runs: anonymous, executable, and either the interpreter's own bytes in front or, if
 * the engine was killed before it wrote them, nothing at all at a place that only we ask for.
 */
export function findLeftovers(pid: number, mappings: readonly Mapping[]): Mapping[] {
  return mappings.flatMap((mapping, i) => {
    if (!isAnonymousCode(mapping) || !isOurs(pid, mapping.start)) return [];
    return [mapping.writable ? mapping : withSlots(mapping, mappings[i + 1])];
  });
}

const isAnonymous = (m: Mapping): boolean => !m.shared && m.inode === 0n && m.name === '';
const isAnonymousCode = (m: Mapping): boolean => isAnonymous(m) && m.readable && m.executable;

/** In a program that may have no memory that is both, the slots are apart: at our place nothing else is beside them. */
function withSlots(code: Mapping, next: Mapping | undefined): Mapping {
  const slots =
    next?.start === code.end && isAnonymous(next) && next.writable && isHome(code.start);
  return slots ? { ...code, end: next.end } : code;
}

function isOurs(pid: number, start: bigint): boolean {
  const front = tryRead(pid, start, code.length);
  if (!front) return false;
  if (front.equals(code)) return true;
  return isHome(start) && front.every((byte) => byte === 0);
}

function isHome(start: bigint): boolean {
  const offset = start - HOME.first;
  return offset >= 0n && offset < HOME.count * HOME.step && offset % HOME.step === 0n;
}

/** A running program may unmap it at any moment. */
function tryRead(pid: number, start: TraceeAddress, length: number): Buffer | undefined {
  try {
    return readMemory(pid, start, length);
  } catch {
    return undefined;
  }
}

/**
 * Takes them away, before the mappings are collected. The process is stopped and holds a new interpreter.
 *
 * One that is still needed stays, and is saved with the process like any memory of it:
 *  1. an engine was killed while a thread stood in its interpreter;
 *  2. the thread was stopped by a signal, or sent into a handler, before it had found its way out;
 *  3. we come, and see it there or on its way back there.
 * Then all stay: the way out of one may lead through another, where an engine was killed while it borrowed such a thread.
 */
export function removeLeftovers(process: TracedProcess): void {
  const { leftovers } = process;
  if (leftovers.length === 0) return;
  const stacks = [...process.threads.values()].map(stackOf);
  if (leftovers.some((leftover) => stacks.some((stack) => leadsTo(stack, leftover)))) return;
  const batch = new RemoteBatch(process.leader);
  for (const { start, end } of leftovers) batch.must(SYS.munmap, start, end - start);
  batch.run();
}

interface Stack {
  readonly rip: TraceeAddress;
  readonly content: Buffer;
}

function stackOf(thread: TracedThread): Stack {
  const { pid } = thread.process;
  const rsp = thread.registers[REG.rsp]! & ~7n;
  const mapping = readMaps(pid).find(({ start, end }) => rsp >= start && rsp < end);
  const bytes = Number(mapping?.readable ? mapping.end - rsp : 0n);
  const content = readMemory(pid, rsp, Math.min(bytes, MAX_STACK_BYTES));
  return { rip: thread.registers[REG.rip]!, content };
}

/** Is the thread in it, or does any frame on its stack lead back to it? A number that only looks so does no harm. */
function leadsTo({ rip, content }: Stack, { start, end }: Mapping): boolean {
  const within = (address: bigint): boolean => address >= start && address < end;
  if (within(rip)) return true;
  for (let at = 0; at + 8 <= content.length; at += 8) {
    if (within(content.readBigUInt64LE(at))) return true;
  }
  return false;
}
