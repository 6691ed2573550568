// The threads of a rebuilt process besides its leader, each with its own id.
import type { SavedProcess, SavedThread } from '../state/records.ts';
import { sleepMillis } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { SYS } from '../arch/x86-64.ts';
import { threadIds } from '../linux/procfs/read.ts';
import { bearTogether } from './births.ts';
import { PidTakenError } from './process-cloner.ts';
import type { PidSource } from './pid-source.ts';

/** CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM: what pthread_create(3) shares. */
export const THREAD_FLAGS = 0x50f00;
const PATIENCE_MILLIS = 5000;
const PAUSE_MILLIS = 20;

/** All threads of a process, leader first; the new ones have not executed an instruction. */
export function bearThreads(
  saved: SavedProcess,
  process: TracedProcess,
  tracer: Tracer,
  pids: PidSource,
): { readonly saved: SavedThread; readonly thread: TracedThread }[] {
  const [leader, ...others] = saved.threads;
  if (!leader) throw new Error(`process ${saved.pid} has no threads in its image`);
  const born = new Map<number, TracedThread>();
  for (const tids of pids.together(others.map(({ tid }) => tid))) {
    for (const thread of bearSome(tids, process, tracer, pids)) born.set(thread.nsTid, thread);
  }
  return [
    { saved: leader, thread: process.leader },
    ...others.map((thread) => ({
      saved: thread,
      thread: born.get(thread.tid) ?? bear(thread.tid, process, tracer, pids),
    })),
  ];
}

/** Those of `tids` that could be had at once. */
function bearSome(
  tids: readonly number[],
  process: TracedProcess,
  tracer: Tracer,
  pids: PidSource,
): TracedThread[] {
  const births = {
    flags: THREAD_FLAGS,
    exitSignal: 0,
    listed: () => threadIds(process.pid),
    processOf: () => process.pid,
  };
  const threads = bearTogether(process, tids, births, { tracer, pids });
  for (const thread of threads) if (!tids.includes(thread.nsTid)) endThread(thread, tracer);
  return threads.filter(({ nsTid }) => tids.includes(nsTid));
}

function bear(tid: number, process: TracedProcess, tracer: Tracer, pids: PidSource): TracedThread {
  for (const start = performance.now(); ; ) {
    const [thread] = bearSome([tid], process, tracer, pids);
    if (thread) return thread;
    if (performance.now() - start > PATIENCE_MILLIS) throw new PidTakenError(tid);
    sleepMillis(PAUSE_MILLIS);
  }
}

/** A thread of ours leaves by itself; killing it would end the whole process. */
export function endThread(thread: TracedThread, tracer: Tracer): void {
  const batch = new RemoteBatch(thread);
  batch.call(SYS.exit, 0);
  batch.start();
  tracer.awaitThreadEnd(thread);
  // Probes in the same pid namespace may take many an id before we get ours.
  thread.process.resident?.free(thread);
}
