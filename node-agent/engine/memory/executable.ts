// The right /proc/PID/exe and a clean slate: a half-built process executes the saved program, of which nothing ever runs.
import { SYS } from '../arch/x86-64.ts';
import { errnoName } from '../linux/ffi.ts';
import { writeMemory } from '../linux/process-memory.ts';
import { bootstrapCall } from '../tracee/bootstrap-call.ts';
import { Resident, SMALL_SLOT } from '../tracee/resident.ts';
import type { RemoteEvents } from '../tracee/remote-run.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';

const POINTER_BYTES = 8;
/** argv = {path, NULL}; its NULL is envp too */
const PATH_AT = 2n * BigInt(POINTER_BYTES);

/** The name that a process has until it is complete: a startup probe that looks for it must not pass before. */
export const UNFINISHED_NAME = 'diapause-init';

/**
 * execve(2) in a stopped process with one thread. It ends signal handlers, robust lists, rseq, alternate stacks and
 * close-on-exec descriptors as well, and needs no privilege but the right to execute.
 *
 * @param path one Latin-1 character a byte
 * @returns undefined on success, else the error that the kernel gave; the process is then as it was
 */
export function executeFile(process: TracedProcess, path: string): string | undefined {
  const plan = { leader: SMALL_SLOT, thread: SMALL_SLOT, threads: 0 };
  const resident = process.resident ?? Resident.map(process, plan);
  const at = resident.slot(process.leader).dataAt;
  const text = Buffer.from(`${path}\0`, 'latin1');
  const argv = Buffer.alloc(2 * POINTER_BYTES);
  argv.writeBigUInt64LE(at + PATH_AT);
  writeMemory(process.pid, at, Buffer.concat([argv, text]));
  const events: RemoteEvents = { born: undefined, exec: false };
  const args = [at + PATH_AT, at, at + BigInt(POINTER_BYTES)];
  const result = bootstrapCall(process.leader, SYS.execve, args, events);
  if (!events.exec) return errnoName(Number(-result));
  process.resident = undefined;
  process.bootstrapAddress = undefined;
  process.leader.forget();
  return undefined;
}
