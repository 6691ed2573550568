// A thread stopped inside a restartable sequence is moved to its abort handler before foreign code runs in it.
import { REG } from '../arch/x86-64.ts';
import { readMemory } from '../linux/process-memory.ts';
import type { TracedThread } from './traced-thread.ts';

const NO_RESTART_ON_SIGNAL = 2;
const RSEQ_BYTES = 24;
const RSEQ_CS_BYTES = 32;

/**
 * What the kernel would do at the next return to user space, done by hand, because of this order of events:
 *  1. the thread is stopped between start_ip and post_commit of a critical section;
 *  2. we run remote code in it: the kernel sees an ip outside of the section, clears rseq_cs and aborts nothing;
 *  3. the thread gets its registers back and finishes a section that another thread may have overtaken.
 *
 * A thread inside a system call is in no section: it would be killed for that call, or has left the section before.
 *
 * Source: kernel/rseq.c (rseq_ip_fixup), struct rseq_cs in include/uapi/linux/rseq.h.
 */
export function leaveCriticalSection(thread: TracedThread): void {
  const { pid } = thread.process;
  if (thread.currentCall >= 0) return;
  const { rseq } = thread;
  if (!rseq) return;
  const area = readMemory(pid, rseq.address, RSEQ_BYTES);
  const at = area.readBigUInt64LE(8);
  if (at === 0n) return;
  const section = readMemory(pid, at, RSEQ_CS_BYTES);
  if ((section.readUInt32LE(4) | area.readUInt32LE(16)) & NO_RESTART_ON_SIGNAL) return;
  const offset = BigInt.asUintN(64, thread.registers[REG.rip]! - section.readBigUInt64LE(8));
  if (offset >= section.readBigUInt64LE(16)) return;
  const registers = BigUint64Array.from(thread.registers);
  registers[REG.rip] = section.readBigUInt64LE(24);
  thread.registers = registers;
}
