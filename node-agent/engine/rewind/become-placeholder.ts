// A running PID 1 executes the placeholder's program: pid, namespaces, control group and standard descriptors stay, its
// memory, threads, handlers and timers go.
import { init } from '../../../shim/shim.generated.ts';
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { writeMemory } from '../linux/process-memory.ts';
import * as ptrace from '../linux/ptrace.ts';
import { bootstrapCall } from '../tracee/bootstrap-call.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { RemoteEvents } from '../tracee/remote-run.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { FOLLOW } from '../tracee/traced-tree.ts';
import type { Tracer } from '../tracee/tracer.ts';

const NAME = 'diapause-init';
/** MFD_CLOEXEC | MFD_EXEC, and the same for kernels before 6.3, which do not know the latter */
const MEMFD_FLAGS = [0x11, 0x1] as const;
const EINVAL = 22;
const AT_EMPTY_PATH = 0x1000;
const POINTER_BYTES = 8;

/**
 * From its success on the program is gone, and the death of the engine ends the process.
 *
 * @throws LinuxError when the process may not; it is then as it was
 */
export function becomePlaceholder(process: TracedProcess, tracer: Tracer): void {
  const { leader, resident } = process;
  if (!resident) throw new Error(`no interpreter in process ${process.pid}`);
  const program = writeProgram(process);
  const at = resident.slot(leader).dataAt;
  const argv = Buffer.alloc(2 * POINTER_BYTES);
  const nameAt = at + BigInt(argv.length);
  argv.writeBigUInt64LE(nameAt);
  writeMemory(process.pid, at, Buffer.concat([argv, Buffer.from(`${NAME}\0`, 'latin1')]));
  const events: RemoteEvents = {
    born: undefined,
    exec: false,
    meanwhile: () => tracer.reapThreads(process),
  };
  const emptyAt = nameAt + BigInt(NAME.length);
  const environment = at + BigInt(POINTER_BYTES);
  const args = [program, emptyAt, at, environment, AT_EMPTY_PATH];
  const result = bootstrapCall(leader, SYS.execveat, args, events);
  if (!events.exec) {
    closeProgram(process, program);
    throw new LinuxError('remote execveat', Number(-result), { pid: process.nsPid, object: NAME });
  }
  ptrace.setOptions(leader.tid, FOLLOW | ptrace.TRACE_OPTION.EXITKILL);
  process.resident = undefined;
  process.forgetProgram();
  leader.forget();
}

/** @returns its descriptor in the process, close-on-exec */
function writeProgram(process: TracedProcess): number {
  const bytes = Buffer.from(init.bytesBase64, 'base64');
  const batch = new RemoteBatch(process.leader);
  for (const flags of MEMFD_FLAGS) {
    const fd = batch.call(SYS.memfd_create, batch.text(NAME), flags);
    batch.run();
    if (fd.number === -EINVAL) continue;
    if (fd.number < 0) throw new LinuxError('remote memfd_create', -fd.number, { object: NAME });
    const written = batch.call(SYS.write, fd.number, batch.bytes(bytes), bytes.length);
    batch.run();
    if (written.number === bytes.length) return fd.number;
    closeProgram(process, fd.number);
    throw new LinuxError('remote write', Math.max(0, -written.number), { object: NAME });
  }
  throw new LinuxError('remote memfd_create', EINVAL, { object: NAME });
}

function closeProgram(process: TracedProcess, fd: number): void {
  const batch = new RemoteBatch(process.leader);
  batch.must(SYS.close, fd);
  batch.run();
}
