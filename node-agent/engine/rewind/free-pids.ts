// The pids of the saved tree must be free once the running tree is gone: nobody besides it may have them.
import { readdirSync, readlinkSync } from 'node:fs';
import { childPids } from '../linux/procfs/children.ts';
import { threadIds } from '../linux/procfs/read.ts';
import { innermost, readStatus } from '../linux/procfs/status.ts';
import { PidTakenError } from '../restore/process-cloner.ts';
import type { SavedTree } from '../state/records.ts';
import { isGone } from '../tracee/attach.ts';
import { sleepMillis } from '../tracee/deadline.ts';

const PATIENCE_MILLIS = 5000;
const PAUSE_MILLIS = 50;

/** Ids of processes, threads, and of the leaders that sessions and groups have lost. */
export function idsOf({ processes }: SavedTree): Set<number> {
  return new Set(
    processes.flatMap(({ pid, pstree }) => [pid, pstree.sid, pstree.pgid, ...pstree.threads]),
  );
}

/**
 * Waits for probes and the like to end, while the application runs.
 *
 * @throws PidTakenError
 */
export function awaitFreeIds(rootPid: number, wanted: ReadonlySet<number>): void {
  for (const start = performance.now(); ; ) {
    const taken = takenBesides(rootPid, wanted);
    if (taken === undefined) return;
    if (performance.now() - start > PATIENCE_MILLIS) throw new PidTakenError(taken);
    sleepMillis(PAUSE_MILLIS);
  }
}

/** One of the ids that somebody outside of the tree has, but in its pid namespace. */
export function takenBesides(rootPid: number, wanted: ReadonlySet<number>): number | undefined {
  const own = treeOf(rootPid);
  const namespace = readlinkSync(`/proc/${rootPid}/ns/pid`);
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.has(pid)) continue;
    const taken = idsIn(pid, namespace).find((id) => wanted.has(id));
    if (taken !== undefined) return taken;
  }
  return undefined;
}

function treeOf(rootPid: number): Set<number> {
  const own = new Set([rootPid]);
  // Grows while it is walked.
  for (const pid of own) {
    for (const child of whileThere(() => childPids(pid)) ?? []) own.add(child);
  }
  return own;
}

/** As the namespace numbers them; none for a process of another one. */
function idsIn(pid: number, namespace: string): number[] {
  const ids = whileThere(() =>
    readlinkSync(`/proc/${pid}/ns/pid`) === namespace
      ? threadIds(pid).map((tid) => innermost(readStatus(`${pid}/task/${tid}`).nsPids))
      : [],
  );
  return ids ?? [];
}

/** Undefined when a process ended meanwhile. */
function whileThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
