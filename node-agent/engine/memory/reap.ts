// A dead snapshot child is a zombie of the application, which cannot know of it: one of its threads is made to reap it.
import { SYS } from '../arch/x86-64.ts';
import { innermost, readStat, readStatus, STAT } from '../linux/procfs/status.ts';
import { childPids } from '../linux/procfs/children.ts';
import { bootstrapCall } from '../tracee/bootstrap-call.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import { isQuietMask } from '../tracee/resident.ts';
import type { TracedThread } from '../tracee/traced-thread.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { BorrowedParent } from './borrowed-parent.ts';

const WNOHANG = 1;
const WALL = 0x40000000;
const STAT_EXIT_SIGNAL = 38;

/** `zombie`: it stays until the next session or the end of its parent, seen by nobody but /proc. */
export type ReapResult = 'reaped' | 'gone' | 'zombie';

export interface DeadChild {
  readonly parentPid: number;
  readonly parentStartTime: string;
  readonly childPid: number;
  /** as its parent knows it */
  readonly childNsPid: number;
}

/** A child whose parent has ended goes to another process of the application, which hears of its end as of any child's. */
export interface Orphan extends DeadChild {
  readonly isOrphan?: boolean;
}

/**
 * Whose child the snapshot is by now. Its parent may have ended:
 *  1. the kernel hands its children to the nearest reaper of orphans, in a pod to the first process;
 *  2. it also gives them the exit signal SIGCHLD, so that wait(2) sees them from then on;
 *  3. the end of one sends that signal, which we cannot keep back: taking it out of the queue again could take a child's of the
 *     application with it, for the kernel keeps one SIGCHLD at a time.
 *
 * @param family processes of the application; what is outside of it is left alone
 */
export function withParentOfNow(child: DeadChild, family: ReadonlySet<number>): Orphan {
  try {
    const parentPid = Number(readStat(child.childPid)(STAT.ppid));
    if (parentPid === child.parentPid || !family.has(parentPid)) return child;
    const parentStartTime = readStat(parentPid)(STAT.startTime);
    return { ...child, parentPid, parentStartTime, isOrphan: true };
  } catch {
    return child;
  }
}

/**
 * Makes one thread of the parent, running or stopped by this tracer, call `wait4` for the child. Who has got an orphan is
 * stopped with all its threads meanwhile, for any of them may be waiting for a child.
 *
 * @param release lets the parent have its zombie: while it is traced, only its tracer can wait for it
 */
export function reapInParent(
  tracer: Tracer,
  child: Orphan,
  release: () => void = () => undefined,
): ReapResult {
  const traced = tracer.processes.get(child.parentPid);
  if (traced || !isParent(child)) {
    release();
    const stopped = [...(traced?.threads.values() ?? [])].find((t) => t.stopped);
    return isParent(child) ? reapWith(stopped, child) : 'gone';
  }
  using parent = new BorrowedParent(child.parentPid, tracer.lateStops);
  parent.borrow(child.isOrphan ?? false);
  release();
  const [thread] = parent.threads;
  if (thread) return reapWith(thread, child);
  return isParent(child) ? 'zombie' : 'gone';
}

/** Snapshots that an engine left behind when it was killed, by the pids that their parent knows. */
export function snapshotsLeftBehind(parentPid: number): number[] {
  return childPids(parentPid)
    .filter(isDeadSnapshot)
    .map((pid) => innermost(readStatus(pid).nsPids))
    .filter((nsPid) => nsPid > 1);
}

/** Queues what makes the parent forget them. */
export function reapLeftBehind(nsPids: readonly number[], remote: RemoteBatch): void {
  for (const nsPid of nsPids) remote.call(SYS.wait4, nsPid, 0, WALL | WNOHANG, 0);
}

/** A zombie that our fork made. */
export function isDeadSnapshot(pid: number): boolean {
  return snapshotState(pid) === 'dead';
}

/**
 * What our fork makes has no exit signal, and lives and dies with the signals blocked that are blocked in an interpreter.
 *
 * @returns undefined for any other process, and for none
 */
export function snapshotState(pid: number): 'alive' | 'dead' | undefined {
  try {
    const field = readStat(pid);
    if (field(STAT_EXIT_SIGNAL) !== '0') return undefined;
    if (!isQuietMask(readStatus(pid).blockedSignals)) return undefined;
    return field(STAT.state) === 'Z' ? 'dead' : 'alive';
  } catch {
    return undefined;
  }
}

/** Is the child still there, and still the child of that very process? */
function isParent({ parentPid, parentStartTime, childPid }: DeadChild): boolean {
  try {
    const ppid = Number(readStat(childPid)(STAT.ppid));
    return ppid === parentPid && readStat(parentPid)(STAT.startTime) === parentStartTime;
  } catch {
    return false;
  }
}

function reapWith(thread: TracedThread | undefined, { childNsPid }: DeadChild): ReapResult {
  if (!thread) return 'zombie';
  const reaped = bootstrapCall(thread, SYS.wait4, [childNsPid, 0, WALL | WNOHANG, 0]);
  return reaped === BigInt(childNsPid) ? 'reaped' : 'gone';
}
