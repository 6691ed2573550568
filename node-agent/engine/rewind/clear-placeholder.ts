// What exec(2) keeps and a placeholder in a new container would not have: taken away, so that a restore begins with the same.
import { readFileSync, writeFileSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { allocate, syscall } from '../linux/ffi.ts';
import { childPids } from '../linux/procfs/children.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { UNFINISHED_NAME } from '../memory/executable.ts';
import type { SavedProcess } from '../state/records.ts';
import { settle } from '../tracee/bootstrap-call.ts';
import { waitFor } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { DUMP_LEADER, Resident, SMALL_SLOT } from '../tracee/resident.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';

const FIRST_OWN_DESCRIPTOR = 3;
const LAST_DESCRIPTOR = 0xffffffff;
const LAST_SIGNAL = 64;
const SIGACTION_BYTES = 32;
const MASK_BYTES = 8;
const SIG_IGN = 1n;
const TIMERS = [0, 1, 2] as const;
const ITIMERVAL_BYTES = 32;
const RLIMIT_BYTES = 16;
const DEFAULT_UMASK = 0o022;
const PR_SET_CHILD_SUBREAPER = 36;
/** WNOHANG | __WALL */
const REAP = 0x40000001;
const REAPED_AT_ONCE = 64;
const ECHILD = 10;
const END_MILLIS = 10_000;
const IOPRIO_WHO_PROCESS = 1;
/** struct sched_attr of an ordinary thread with nice value 0 */
const SCHED_ATTR_BYTES = 48;

const memory = allocate(4096);

/**
 * @param saved the root that it will become
 * @throws LinuxError, DeadlineError
 */
export function clearPlaceholder(process: TracedProcess, saved: SavedProcess): void {
  const { pid } = process;
  // In a group stop it would stop again as soon as it is let go.
  sendSignal(pid, SIGNAL.SIGCONT);
  Resident.map(process, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads: 0 });
  const batch = new RemoteBatch(process.leader);
  batch.must(SYS.close_range, FIRST_OWN_DESCRIPTOR, LAST_DESCRIPTOR, 0);
  dropSignals(batch);
  const never = batch.space(ITIMERVAL_BYTES);
  for (const timer of TIMERS) batch.must(SYS.setitimer, timer, never, 0);
  batch.must(SYS.umask, DEFAULT_UMASK);
  batch.must(SYS.chdir, batch.text('/'));
  batch.must(SYS.prctl, PR_SET_CHILD_SUBREAPER, 0);
  batch.must(SYS.personality, 0);
  raiseLimits(batch, saved);
  batch.run();
  reapAll(process);
  giveFromOutside(pid, saved);
}

/** Ignoring a signal throws away what is pending of it. */
function dropSignals(batch: RemoteBatch): void {
  const ignore = Buffer.alloc(SIGACTION_BYTES);
  ignore.writeBigUInt64LE(SIG_IGN);
  const actions = [batch.bytes(ignore), batch.space(SIGACTION_BYTES)];
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) {
    if (signal === SIGNAL.SIGKILL || signal === SIGNAL.SIGSTOP) continue;
    for (const action of actions) batch.must(SYS.rt_sigaction, signal, action, 0, MASK_BYTES);
  }
}

/** Everybody below it has ended or does so now; orphans of orphans have become its own. */
function reapAll(process: TracedProcess): void {
  const batch = new RemoteBatch(process.leader);
  waitFor('the end of all children', END_MILLIS, () => {
    for (const child of childPids(process.pid)) sendSignal(child, SIGNAL.SIGKILL);
    const calls = Array.from({ length: REAPED_AT_ONCE }, () =>
      batch.call(SYS.wait4, -1, 0, REAP, 0),
    );
    batch.run();
    return calls.some(({ number }) => number === -ECHILD) || undefined;
  });
}

/** A low limit would be in the way of the restore, which sets the saved ones last. */
function raiseLimits(batch: RemoteBatch, { core }: SavedProcess): void {
  core.tc?.rlimits?.rlimits.forEach(({ max }, resource) => {
    const limit = Buffer.alloc(RLIMIT_BYTES);
    limit.writeBigUInt64LE(max, 0);
    limit.writeBigUInt64LE(max, 8);
    batch.call(SYS.prlimit64, 0, resource, batch.bytes(limit), 0);
  });
}

/**
 * What the process itself may no longer have the right to. An engine without the right to do so leaves it: the restore
 * tells what it cannot set.
 */
function giveFromOutside(pid: number, { core }: SavedProcess): void {
  memory.words.fill(0n, 0, SCHED_ATTR_BYTES / 8);
  memory.view.setUint32(0, SCHED_ATTR_BYTES, true);
  syscall(SYS.sched_setattr, pid, memory.address, 0);
  syscall(SYS.ioprio_set, IOPRIO_WHO_PROCESS, pid, 0);
  const score = core.tc?.oomScoreAdj;
  const file = `/proc/${pid}/oom_score_adj`;
  if (score === undefined || readFileSync(file, 'latin1').trim() === String(score)) return;
  try {
    writeFileSync(file, String(score));
  } catch {
    // Lower than it is now: CAP_SYS_RESOURCE.
  }
}

/** Lets it go; resolves when it waits as PID 1 of a placeholder does. */
export function releasePlaceholder(process: TracedProcess, tracer: Tracer): void {
  const { leader, pid } = process;
  Resident.unmap(process);
  settle(leader);
  leader.signalMask = 0n;
  tracer.release(process);
  waitFor('the placeholder', END_MILLIS, () => {
    const comm = readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
    return comm === UNFINISHED_NAME || undefined;
  });
}
