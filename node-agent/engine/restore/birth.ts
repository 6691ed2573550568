// Every process of the tree is born as a copy of the placeholder or of its parent, with its own pid, parent, session, group.
import { SYS } from '../arch/x86-64.ts';
import { syscall } from '../linux/ffi.ts';
import type { SavedProcess } from '../state/records.ts';
import { Resident, SMALL_SLOT } from '../tracee/resident.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import { birthOrder, type BirthStep, type Family } from './birth-order.ts';
import type { PidSource } from './pid-source.ts';
import { ProcessCloner, remoteCall } from './process-cloner.ts';

const PR_SET_CHILD_SUBREAPER = 36;

export interface BornProcess {
  readonly saved: SavedProcess;
  readonly process: TracedProcess;
  /** it was forked of its parent's rebuilt memory */
  readonly heir: boolean;
  /** for {@link TreeBirth.bearHeirs} */
  readonly waiting: readonly BirthStep[];
}

/**
 * Builds the tree below its root, which exists and is stopped: the placeholder itself. In turns with the memory: whoever
 * shared pages with its parent is forked when that has its memory.
 */
export class TreeBirth {
  readonly #family: Family;
  readonly #members: BornProcess[] = [];
  readonly #pids: ReadonlySet<number>;
  readonly #cloner: ProcessCloner;

  constructor(family: Family, tracer: Tracer, pids: PidSource) {
    this.#family = family;
    this.#pids = new Set(family.tree.processes.map((p) => p.pid));
    this.#cloner = new ProcessCloner(tracer, pids);
  }

  /** Everybody who is born so far, parents first; {@link bearHeirs} appends to it. */
  get members(): Iterable<BornProcess> {
    return this.#members;
  }

  /**
   * Bears everybody who needs nobody's memory.
   *
   * @param session session of the placeholder, as its pid namespace numbers it
   */
  begin(root: TracedProcess, session: number): void {
    const saved = this.#family.tree.processes[0];
    if (!saved) throw new Error('an image without processes');
    root.nsPid = saved.pid;
    root.leader.nsTid = saved.pid;
    Resident.map(root, { leader: SMALL_SLOT, thread: SMALL_SLOT, threads: 0 });
    this.#grow(saved, root, session);
  }

  /** Bears the children that waited for the memory of a process, and whoever comes with them. */
  bearHeirs({ process, waiting }: BornProcess): void {
    this.#performAll(waiting, process);
  }

  #grow(saved: SavedProcess, process: TracedProcess, inherited: number): void {
    const { before, after } = birthOrder(this.#family, saved, inherited);
    const heir = this.#family.heirs.has(saved.pid);
    this.#members.push({ saved, process, heir, waiting: after });
    this.#performAll(before, process);
  }

  /** Children that come one after the other are born together, and grow then. */
  #performAll(steps: readonly BirthStep[], process: TracedProcess): void {
    for (let i = 0; i < steps.length; ) {
      const forks = leadingForks(steps.slice(i));
      const pids = forks.map(({ child }) => child.pid);
      const children = this.#cloner.cloneAll(pids, process);
      for (const { child, session } of forks) this.#grow(child, children.get(child.pid)!, session);
      i += forks.length;
      const other = steps[i++];
      if (other) this.#perform(other, process);
    }
  }

  #perform(step: BirthStep, process: TracedProcess): void {
    switch (step.kind) {
      case 'fork':
        throw new Error('a fork is performed with those around it');
      case 'start-session':
        remoteCall(process, SYS.setsid);
        this.#family.sessionBegan?.(process.nsPid, process);
        return;
      case 'fork-into-dead-session':
        this.#bearInDeadSession(step.session, process, step.children);
    }
  }

  /**
   * The leader of their session had ended, so another one leads it for a moment: children of it whose parent ends go to
   * the nearest subreaper above, which for that moment is their saved parent.
   */
  #bearInDeadSession(sid: number, parent: TracedProcess, children: readonly SavedProcess[]): void {
    const leader = this.#cloner.clone(sid, parent);
    remoteCall(leader, SYS.setsid);
    const born = children.map((saved) => ({
      saved,
      process: this.#cloner.clone(saved.pid, leader),
    }));
    remoteCall(parent, SYS.prctl, PR_SET_CHILD_SUBREAPER, 1);
    this.#cloner.discard(leader, parent);
    remoteCall(parent, SYS.prctl, PR_SET_CHILD_SUBREAPER, 0);
    for (const { saved, process } of born) this.#grow(saved, process, sid);
  }

  /**
   * When everybody is born. Leaders first, then all others join; a group whose leader had ended gets one for that moment.
   */
  joinGroups(): void {
    const leads = ({ saved }: BornProcess): boolean => saved.pstree.pgid === saved.pid;
    for (const { saved, process } of this.#members.filter(leads)) {
      if (saved.pstree.sid !== saved.pid) remoteCall(process, SYS.setpgid, 0, 0);
    }
    const members = this.#members.filter((b) => !leads(b));
    const inherited = this.#family.tree.processes[0]?.pstree.pgid;
    for (const pgid of new Set(members.map((b) => b.saved.pstree.pgid))) {
      if (!this.#pids.has(pgid) && pgid === inherited) continue;
      this.#joinGroup(
        pgid,
        members.filter((b) => b.saved.pstree.pgid === pgid),
      );
    }
  }

  #joinGroup(pgid: number, members: readonly BornProcess[]): void {
    const [first] = members;
    const stands = this.#pids.has(pgid) || !first;
    const leader = stands ? undefined : this.#cloner.clone(pgid, first.process);
    if (leader) remoteCall(leader, SYS.setpgid, 0, 0);
    const lead = leader ?? this.#members.find(({ saved }) => saved.pid === pgid)?.process;
    for (const { process } of members) {
      // Most were born into it.
      if (lead && syscall(SYS.getpgid, process.pid) === lead.pid) continue;
      remoteCall(process, SYS.setpgid, 0, pgid);
    }
    if (leader && first) this.#cloner.discard(leader, first.process);
  }
}

type Fork = Extract<BirthStep, { kind: 'fork' }>;

function leadingForks(steps: readonly BirthStep[]): Fork[] {
  const forks: Fork[] = [];
  for (const step of steps) {
    if (step.kind !== 'fork') break;
    forks.push(step);
  }
  return forks;
}
