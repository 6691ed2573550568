// What an engine that was killed left in a program: its interpreter's mapping, which nobody uses any more.
import { interpreter } from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';
import { readMemory } from '../linux/process-memory.ts';
import type { Mapping } from '../linux/procfs/maps.ts';
import { RemoteBatch } from './remote-batch.ts';
import { HOME } from './resident.ts';
import type { TracedProcess } from './traced-process.ts';

const code = Buffer.from(interpreter.bytesBase64, 'base64');

/**
 * Looks while the application runs: anonymous, everything allowed, and either the interpreter's own bytes in front or, if
 * the engine was killed before it wrote them, nothing at all at a place that only we ask for.
 */
export function findLeftovers(pid: number, mappings: readonly Mapping[]): Mapping[] {
  return mappings.filter((mapping) => isAnonymousCode(mapping) && isOurs(pid, mapping.start));
}

function isAnonymousCode(m: Mapping): boolean {
  const allowed = m.readable && m.writable && m.executable;
  return allowed && !m.shared && m.inode === 0n && m.name === '';
}

function isOurs(pid: number, start: bigint): boolean {
  const front = readMemory(pid, start, code.length);
  if (front.equals(code)) return true;
  const offset = start - HOME.first;
  const home = offset >= 0n && offset < HOME.count * HOME.step && offset % HOME.step === 0n;
  return home && front.every((byte) => byte === 0);
}

/** Takes them away, before the mappings are collected. The process is stopped and holds a new interpreter. */
export function removeLeftovers(process: TracedProcess, leftovers: readonly Mapping[]): void {
  if (leftovers.length === 0) return;
  const batch = new RemoteBatch(process.leader);
  for (const { start, end } of leftovers) batch.must(SYS.munmap, start, end - start);
  batch.run();
}
