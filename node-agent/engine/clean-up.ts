// What engines that were killed left in an application is taken away: their dead snapshots and their interpreters. Neither
// does harm, and the next dump would do the same; but there may be no next one.
import { HeldApplication } from './held-application.ts';
import { readMaps } from './linux/procfs/maps.ts';
import { childPids } from './linux/procfs/children.ts';
import { reapLeftBehind, snapshotState, snapshotsLeftBehind } from './memory/reap.ts';
import type { CleanUpResult, CleanUpTask, SourceTree } from './protocol.ts';
import { isGone } from './tracee/attach.ts';
import { DeadlineError, sleepMillis, waitFor } from './tracee/deadline.ts';
import { findLeftovers } from './tracee/leftovers.ts';
import { RemoteBatch } from './tracee/remote-batch.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** The kernel takes some 100 ms for each GiB of a snapshot that dies. */
const DEATH_MILLIS = 5000;
/** Threads that the dead engine had borrowed find their way back within a few; to stop one on it would lengthen it. */
const WAY_BACK_MILLIS = 300;
/** Calls that fit into one batch with room to spare. */
const REAPED_AT_ONCE = 20;

/**
 * Stops the trees for a moment, but only where there is something to take away.
 *
 * @throws LinuxError, UnstoppableError and others; the application then runs on
 */
export function cleanUp({ trees, freezeLimitMillis }: CleanUpTask): CleanUpResult {
  sleepMillis(WAY_BACK_MILLIS);
  awaitDeaths(trees);
  const found = countLeftBehind(trees);
  if (found === 0) return { removed: 0, left: 0, freezeMillis: 0 };
  using application = HeldApplication.seize(trees);
  application.prepare();
  // Takes the mappings away as well.
  application.freeze(freezeLimitMillis);
  for (const process of application.processes) reapSnapshots(process);
  application.letGo();
  const left = countLeftBehind(trees);
  return { removed: found - left, left, freezeMillis: application.freezeMillis };
}

/** A snapshot dies with its engine, but not at once: its memory is given back first. */
function awaitDeaths(trees: readonly SourceTree[]): void {
  const dying = (): boolean => pidsOf(trees).some((pid) => snapshotState(pid) === 'alive');
  try {
    waitFor('the end of a snapshot', DEATH_MILLIS, () => (dying() ? undefined : true));
  } catch (error) {
    // A process of the application may look like one.
    if (!(error instanceof DeadlineError)) throw error;
  }
}

function countLeftBehind(trees: readonly SourceTree[]): number {
  return pidsOf(trees).reduce((sum, pid) => sum + leftBehindIn(pid), 0);
}

/** The application runs: whoever ends meanwhile has nothing left to take away. */
function leftBehindIn(pid: number): number {
  try {
    return snapshotsLeftBehind(pid).length + findLeftovers(pid, readMaps(pid)).length;
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

/** Parents before their children. */
function pidsOf(trees: readonly SourceTree[]): number[] {
  const pids = trees.map(({ rootPid }) => rootPid);
  // Grows while it is walked.
  for (const pid of pids) {
    try {
      pids.push(...childPids(pid));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return pids;
}

function reapSnapshots(process: TracedProcess): void {
  const snapshots = snapshotsLeftBehind(process.pid);
  for (let at = 0; at < snapshots.length; at += REAPED_AT_ONCE) {
    const batch = new RemoteBatch(process.leader);
    reapLeftBehind(snapshots.slice(at, at + REAPED_AT_ONCE), batch);
    batch.run();
  }
}
