// Every process of the tree is born as a copy of the tiny placeholder, with its own pid, parent, session and group.
import { SYS } from '../arch/x86-64.ts';
import { LinuxError } from '../linux/error.ts';
import { SIGNAL, sendSignal } from '../linux/signals.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';
import { sleepMillis } from '../tracee/deadline.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { Resident, SMALL_SLOT } from '../tracee/resident.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import type { PidSource } from './pid-source.ts';

const PID_ATTEMPT_PAUSE_MILLIS = 20;
const PID_PATIENCE_MILLIS = 5000;

/** Somebody else keeps a pid that the image needs: a `kubectl exec` session, a probe that hangs. */
export class PidTakenError extends Error {
  readonly pid: number;
  constructor(pid: number) {
    super(
      `pid ${pid} stays taken in the target's pid namespace; end what runs there besides the placeholder`,
    );
    this.name = 'PidTakenError';
    this.pid = pid;
  }
}

export interface BornProcess {
  readonly saved: SavedProcess;
  readonly process: TracedProcess;
}

/**
 * Builds the tree below its root, which exists and is stopped: the placeholder itself.
 *
 * A process whose saved session is the one its parent was born into must be forked before the parent starts a session of
 * its own; all others after that.
 */
export class TreeBirth {
  readonly born: BornProcess[] = [];
  readonly #tree: SavedTree;
  readonly #tracer: Tracer;
  readonly #pids: PidSource;

  constructor(tree: SavedTree, tracer: Tracer, pids: PidSource) {
    this.#tree = tree;
    this.#tracer = tracer;
    this.#pids = pids;
  }

  build(root: TracedProcess, session: number): readonly BornProcess[] {
    const saved = this.#tree.processes[0];
    if (!saved) throw new Error('an image without processes');
    root.nsPid = saved.pid;
    root.leader.nsTid = saved.pid;
    Resident.map(root, { leader: SMALL_SLOT, thread: SMALL_SLOT, threads: 0 });
    this.#grow(saved, root, session);
    this.#joinGroups();
    return this.born;
  }

  #grow(saved: SavedProcess, process: TracedProcess, inherited: number): void {
    this.born.push({ saved, process });
    const children = this.#tree.processes.filter((p) => p.pstree.ppid === saved.pid);
    const startsSession = saved.pstree.sid === saved.pid && inherited !== saved.pid;
    const early = (child: SavedProcess): boolean =>
      startsSession && child.pstree.sid === inherited && child.pstree.sid !== child.pid;
    for (const child of children.filter(early)) this.#bear(child, process, inherited);
    if (startsSession) remote(process, SYS.setsid);
    const session = startsSession ? saved.pid : inherited;
    for (const child of children.filter((c) => !early(c))) this.#bear(child, process, session);
  }

  #bear(saved: SavedProcess, parent: TracedProcess, session: number): void {
    const process = this.#clone(saved.pid, parent);
    this.#grow(saved, process, session);
  }

  /** One child with an exact pid. A wrong one (somebody was quicker) is ended and reaped, and the clone tried again. */
  #clone(pid: number, parent: TracedProcess): TracedProcess {
    for (const start = performance.now(); ; ) {
      const batch = new RemoteBatch(parent.leader);
      const result = this.#pids.clone(batch, pid, 0, SIGNAL.SIGCHLD);
      const got = runClone(batch, result);
      if (got !== undefined && batch.events.born !== undefined) {
        const child = this.#tracer.adopt(batch.events.born, batch.events.born).process;
        if (got === pid) {
          child.nsPid = pid;
          child.leader.nsTid = pid;
          // The fork copied the interpreter's mapping along.
          child.resident = parent.resident?.forSnapshot();
          return child;
        }
        this.#discard(child, parent, got);
      }
      if (performance.now() - start > PID_PATIENCE_MILLIS) throw new PidTakenError(pid);
      sleepMillis(PID_ATTEMPT_PAUSE_MILLIS);
    }
  }

  #discard(child: TracedProcess, parent: TracedProcess, nsPid: number): void {
    sendSignal(child.pid, SIGNAL.SIGKILL);
    this.#tracer.awaitEnd(child);
    remote(parent, SYS.wait4, nsPid, 0, 0, 0);
  }

  /** Groups: leaders first, then everybody joins. */
  #joinGroups(): void {
    const isLeader = ({ saved }: BornProcess): boolean => saved.pstree.pgid === saved.pid;
    for (const { saved, process } of this.born.filter(isLeader)) {
      if (saved.pstree.sid !== saved.pid) remote(process, SYS.setpgid, 0, 0);
    }
    for (const { saved, process } of this.born.filter((b) => !isLeader(b))) {
      const { pgid } = saved.pstree;
      if (this.born.some((b) => b.saved.pid === pgid)) remote(process, SYS.setpgid, 0, pgid);
    }
  }
}

function runClone(batch: RemoteBatch, result: { readonly number: number }): number | undefined {
  try {
    batch.run();
    return result.number;
  } catch (error) {
    if (error instanceof LinuxError && error.errno === 'EEXIST') return undefined;
    throw error;
  }
}

function remote(process: TracedProcess, nr: number, ...args: number[]): void {
  const batch = new RemoteBatch(process.leader);
  batch.must(nr, ...args);
  batch.run();
}

/** Sessions and groups that no process of the tree leads: they cannot be made again. */
export function missingLeaders(
  tree: SavedTree,
): { readonly pid: number; readonly kind: 'session' | 'group'; readonly id: number }[] {
  const pids = new Set(tree.processes.map((p) => p.pid));
  const root = tree.processes[0];
  return tree.processes.flatMap(({ pid, pstree }) => [
    ...(pids.has(pstree.sid) || pstree.sid === root?.pstree.sid
      ? []
      : [{ pid, kind: 'session' as const, id: pstree.sid }]),
    ...(pids.has(pstree.pgid) || pstree.pgid === root?.pstree.pgid
      ? []
      : [{ pid, kind: 'group' as const, id: pstree.pgid }]),
  ]);
}
