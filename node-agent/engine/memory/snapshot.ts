// A copy-on-write snapshot of a stopped process: its memory in a forked child that nobody sees and that never runs on.
import { writeFileSync } from 'node:fs';
import { REG, SYS, unsigned } from '../arch/x86-64.ts';
import { readMemory, writeMemory } from '../linux/process-memory.ts';
import { readStat, STAT } from '../linux/procfs/status.ts';
import * as ptrace from '../linux/ptrace.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import { isGone } from '../tracee/attach.ts';
import { waitFor } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import { FOLLOW } from '../tracee/traced-tree.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { type Area, MADV } from './area.ts';
import type { ProcessMemory } from './mappings.ts';
import { ownsPages } from './page-choice.ts';
import { type DeadChild, type ReapResult, reapInParent, withParentOfNow } from './reap.ts';

/** Shares the descriptor table instead of copying it: a copy would keep sockets open that the application closes. */
const CLONE_FILES = 0x400;
const CLOSE_RANGE_UNSHARE = 2;
const LAST_DESCRIPTOR = 0xffffffff;
const RSEQ_FLAG_UNREGISTER = 1;
/** The kernel's out-of-memory killer takes the snapshot first, not the application. */
const FIRST_TO_KILL = '1000';
/** A large one takes a moment to give back its memory. */
const EXIT_MILLIS = 10_000;

/** Why there is no snapshot; the pages can still be saved while the process is stopped. */
export class SnapshotFailedError extends Error {
  readonly pid: number;
  constructor(pid: number, reason: string, options?: ErrorOptions) {
    super(`no snapshot of process ${pid}: ${reason}`, options);
    this.name = 'SnapshotFailedError';
    this.pid = pid;
  }
}

/** The child of one process. It is stopped, traced and dies with the engine. */
export interface Snapshot {
  readonly memory: ProcessMemory;
  readonly child: TracedProcess;
  /** how its parent will have to forget it */
  readonly dead: DeadChild;
  /** Waits for the end of the child's own preparations; the application may run. Once. */
  settle(): void;
}

/** What fork must not leave out, and how it was. */
interface ForkAdvice {
  readonly start: bigint;
  readonly length: bigint;
  readonly copy: number;
  readonly putBack: number;
}

/** Areas with content that fork would leave out (MADV_DONTFORK) or wipe (MADV_WIPEONFORK). */
export function forkAdvice(areas: readonly Area[]): ForkAdvice[] {
  return areas.flatMap(({ mapping, kind }) => {
    const { flags, start, end } = mapping;
    // Droppable memory is always wiped, and cannot be told otherwise
    if (!ownsPages(kind) || flags.has('dp')) return [];
    const range = { start, length: end - start };
    return [
      ...(flags.has('dc') ? [{ ...range, copy: MADV.DOFORK, putBack: MADV.DONTFORK }] : []),
      ...(flags.has('wf') ? [{ ...range, copy: MADV.KEEPONFORK, putBack: MADV.WIPEONFORK }] : []),
    ];
  });
}

/**
 * Forks a stopped process; 14 to 20 ms per GiB of small pages, all else about 0.2 ms.
 *
 * The child has exit signal 0: no SIGCHLD, and wait(2) without __WALL does not see it. Events that the order guards
 * against, should the engine be killed:
 *  1. before the fork: the thread itself puts the advice back (the will of the batch);
 *  2. between fork and SETOPTIONS: the child wakes up and ends at the fork guard;
 *  3. later: PTRACE_O_EXITKILL.
 *
 * @throws SnapshotFailedError when the kernel denies the fork (pids, memory) or too many areas need advice
 */
export function takeSnapshot(tracer: Tracer, memory: ProcessMemory): Snapshot {
  const parent = memory.process;
  const { born, nsPid } = fork(memory);
  const child = tracer.adopt(born, born).process;
  child.snapshot = true;
  child.nsPid = nsPid;
  const dead = {
    parentPid: parent.pid,
    parentStartTime: readStat(parent.pid)(STAT.startTime),
    childPid: child.pid,
    childNsPid: nsPid,
  };
  try {
    ptrace.setOptions(child.pid, FOLLOW | ptrace.TRACE_OPTION.EXITKILL);
    writeFileSync(`/proc/${child.pid}/oom_score_adj`, FIRST_TO_KILL);
    child.resident = parent.resident!.forSnapshot();
    child.bootstrapAddress = parent.bootstrapAddress;
    return { memory, child, settle: startChild(parent, child), dead };
  } catch (error) {
    tracer.release(child);
    reapInParent(tracer, dead);
    throw error;
  }
}

function fork({ process, areas }: ProcessMemory): { born: number; nsPid: number } {
  const advice = forkAdvice(areas);
  const batch = new RemoteBatch(process.leader);
  if (!batch.hasRoom(3 * advice.length + 1, 0)) {
    throw new SnapshotFailedError(process.nsPid, `${advice.length} areas are hidden from fork`);
  }
  for (const { start, length, copy } of advice) batch.must(SYS.madvise, start, length, copy);
  const pid = batch.fork(SYS.clone, CLONE_FILES, 0, 0, 0, 0);
  for (const { start, length, putBack } of advice) {
    batch.call(SYS.madvise, start, length, putBack);
    batch.ifOrphaned(SYS.madvise, start, length, putBack);
  }
  try {
    batch.run();
  } catch (error) {
    putBack(process, advice);
    throw new SnapshotFailedError(process.nsPid, String(error), { cause: error });
  }
  const { born } = batch.events;
  if (born === undefined) throw new Error(`the fork of process ${process.pid} was not reported`);
  return { born, nsPid: pid.number };
}

function putBack(process: TracedProcess, advice: readonly ForkAdvice[]): void {
  if (advice.length === 0) return;
  const batch = new RemoteBatch(process.leader);
  for (const { start, length, putBack: how } of advice) {
    batch.call(SYS.madvise, start, length, how);
  }
  batch.run();
}

/**
 * Sets the child going without waiting for it: it leaves the shared descriptor table and ends its restartable sequences,
 * so that the kernel writes no CPU numbers into memory that is to be saved.
 */
function startChild(parent: TracedProcess, child: TracedProcess): () => void {
  const rseq = parent.leader.rseq;
  const original = rseq && readMemory(parent.pid, rseq.address, rseq.length);
  const batch = new RemoteBatch(child.leader);
  batch.ifOrphaned(SYS.exit_group, 0);
  batch.must(SYS.close_range, 0, LAST_DESCRIPTOR, CLOSE_RANGE_UNSHARE);
  if (rseq) {
    batch.must(SYS.rseq, rseq.address, rseq.length, RSEQ_FLAG_UNREGISTER, rseq.signature);
  }
  batch.start();
  return () => {
    batch.finish();
    if (rseq && original) writeMemory(child.pid, rseq.address, original);
  };
}

/**
 * Ends the child and lets its parent forget it; the application may run or have ended. What cannot be reaped now (the
 * parent is traced by somebody else, or does not stop) stays as a zombie that its parent cannot see.
 *
 * @param family processes of the application, one of which may be the child's parent by now
 */
export function discardSnapshot(
  tracer: Tracer,
  { child, dead }: Snapshot,
  family: ReadonlySet<number> = new Set(),
): ReapResult {
  if (child.threads.size === 0) return reapInParent(tracer, dead);
  exit(child);
  return reapInParent(tracer, withParentOfNow(dead, family), () => tracer.awaitEnd(child));
}

/** It becomes a zombie that nobody but this tracer can see. Should all else fail, its end at least looks like a good one. */
function exit(child: TracedProcess): void {
  try {
    if (!callExit(child)) sendSignal(child.pid, SIGNAL.SIGKILL);
  } catch (error) {
    // Somebody else has killed it, the kernel for its memory perhaps.
    if (!isGone(error)) throw error;
  }
  const isZombie = () => readStat(child.pid)(STAT.state) === 'Z' || undefined;
  waitFor(`the end of snapshot ${child.pid}`, EXIT_MILLIS, isZombie);
}

/**
 * With the signals blocked by which a later engine knows its zombie, should this one die before it is collected.
 *
 * @returns false when it cannot be told to
 */
function callExit({ pid, leader, bootstrapAddress, resident }: TracedProcess): boolean {
  if (!leader.stopped || bootstrapAddress === undefined || !resident) return false;
  const registers = BigUint64Array.from(ptrace.getRegisters(pid));
  registers[REG.rax] = BigInt(SYS.exit_group);
  registers[REG.rdi] = 0n;
  registers[REG.origRax] = unsigned(-1);
  registers[REG.rip] = bootstrapAddress;
  leader.sendTo(registers, resident.quietMask);
  return ptrace.resume(pid);
}
