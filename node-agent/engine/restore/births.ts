// Many births in one batch of remote work: one by one each would cost its parent two stops and a batch of its own.
import { LinuxError } from '../linux/error.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import * as ptrace from '../linux/ptrace.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { Tracer } from '../tracee/tracer.ts';
import type { PidSource } from './pid-source.ts';

/** Who is cloned with it attaches itself. */
const CLONE_PTRACE = 0x2000;
const { FORK, VFORK, CLONE } = ptrace.TRACE_OPTION;
const REPORT_BIRTHS = FORK | VFORK | CLONE;

/** What is born, and how the kernel lists it. */
export interface Births {
  /** CLONE_* bits without the exit signal */
  readonly flags: number;
  readonly exitSignal: number;
  /** ids, in the engine's numbering, of everybody of this kind that the parent has */
  readonly listed: () => readonly number[];
  /** process that somebody of this kind belongs to */
  readonly processOf: (id: number) => number;
}

/**
 * Bears as many of `ids` as can be had in one batch, each stopped before its first instruction.
 *
 * @returns all who were born; their own ids may be others than those wanted
 */
export function bearTogether(
  parent: TracedProcess,
  ids: readonly number[],
  births: Births,
  tools: { readonly tracer: Tracer; readonly pids: PidSource },
): TracedThread[] {
  const { tracer, pids } = tools;
  const before = seesAsWeDo(parent) ? undefined : new Set(births.listed());
  const batch = new RemoteBatch(parent.leader);
  // Otherwise it would stop to report each.
  ptrace.setOptions(parent.pid, tracer.options & ~REPORT_BIRTHS);
  const results = pids.clone(batch, ids, births.flags | CLONE_PTRACE, births.exitSignal);
  const failure = errorOf(batch);
  ptrace.setOptions(parent.pid, tracer.options);
  const own = results.filter((result) => result.known && result.value > 0n).map((r) => r.number);
  const fresh = before ? births.listed().filter((id) => !before.has(id)) : own;
  // After a failure, too: nobody may be left that the tracer does not know.
  const born = fresh.map((id) => {
    const thread = tracer.adopt(births.processOf(id), id);
    ptrace.setOptions(id, tracer.options);
    thread.nsTid = before ? innermost(readStatus(id).nsPids) : id;
    return thread;
  });
  if (failure) throw failure;
  return born;
}

/** Is the parent in the engine's own pid namespace? */
const seesAsWeDo = ({ pid }: TracedProcess): boolean => readStatus(pid).nsPids.length === 1;

/** An id that somebody else has ends the batch, and what comes behind it is not born: that is no failure. */
function errorOf(batch: RemoteBatch): Error | undefined {
  try {
    batch.run();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error instanceof LinuxError && error.errno === 'EEXIST' ? undefined : error;
  }
}
