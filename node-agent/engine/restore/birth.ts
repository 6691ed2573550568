// Every process of the tree is born as a copy of the tiny placeholder, with its own pid, parent, session and group.
import { SYS } from '../arch/x86-64.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';
import { Resident, SMALL_SLOT } from '../tracee/resident.ts';
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { Tracer } from '../tracee/tracer.ts';
import type { PidSource } from './pid-source.ts';
import { ProcessCloner, remoteCall } from './process-cloner.ts';

const PR_SET_CHILD_SUBREAPER = 36;

export interface BornProcess {
  readonly saved: SavedProcess;
  readonly process: TracedProcess;
}

/**
 * Builds the tree below its root, which exists and is stopped: the placeholder itself.
 *
 * A process whose saved session is the one its parent was born into must be forked before the parent starts a session of
 * its own; all others after that. Sessions and groups whose leader had ended get one for the time of the birth.
 */
export class TreeBirth {
  readonly born: BornProcess[] = [];
  readonly #tree: SavedTree;
  readonly #pids: ReadonlySet<number>;
  readonly #cloner: ProcessCloner;
  readonly #beforeChildren: (member: BornProcess) => void;

  /** @param beforeChildren told of every process before it has children: what they are to inherit is made there */
  constructor(
    tree: SavedTree,
    tracer: Tracer,
    pids: PidSource,
    beforeChildren: (member: BornProcess) => void,
  ) {
    this.#tree = tree;
    this.#beforeChildren = beforeChildren;
    this.#pids = new Set(tree.processes.map((p) => p.pid));
    this.#cloner = new ProcessCloner(tracer, pids);
  }

  /** @param session session of the placeholder, as its pid namespace numbers it */
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
    this.#beforeChildren({ saved, process });
    const children = this.#tree.processes.filter((p) => p.pstree.ppid === saved.pid);
    const startsSession = saved.pstree.sid === saved.pid && inherited !== saved.pid;
    const early = (child: SavedProcess): boolean =>
      startsSession && child.pstree.sid === inherited && child.pstree.sid !== child.pid;
    for (const child of children.filter(early)) this.#bear(child, process, inherited);
    if (startsSession) remoteCall(process, SYS.setsid);
    const session = startsSession ? saved.pid : inherited;
    const late = children.filter((child) => !early(child));
    const orphaned = (child: SavedProcess): boolean =>
      child.pstree.sid !== session && !this.#pids.has(child.pstree.sid);
    for (const child of late.filter((c) => !orphaned(c))) this.#bear(child, process, session);
    const sessions = new Set(late.filter(orphaned).map((child) => child.pstree.sid));
    for (const sid of sessions) {
      this.#bearInDeadSession(
        sid,
        process,
        late.filter((c) => c.pstree.sid === sid),
      );
    }
  }

  #bear(saved: SavedProcess, parent: TracedProcess, session: number): void {
    this.#grow(saved, this.#cloner.clone(saved.pid, parent), session);
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

  /** Groups: leaders first, then everybody joins; a group whose leader had ended gets one for that moment. */
  #joinGroups(): void {
    const leads = ({ saved }: BornProcess): boolean => saved.pstree.pgid === saved.pid;
    for (const { saved, process } of this.born.filter(leads)) {
      if (saved.pstree.sid !== saved.pid) remoteCall(process, SYS.setpgid, 0, 0);
    }
    const members = this.born.filter((b) => !leads(b));
    const inherited = this.#tree.processes[0]?.pstree.pgid;
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
    for (const { process } of members) remoteCall(process, SYS.setpgid, 0, pgid);
    if (leader && first) this.#cloner.discard(leader, first.process);
  }
}

/** Sessions that cannot be made again: their leader had ended and their members have different parents. */
export function lostSessions(tree: SavedTree): { readonly pid: number; readonly sid: number }[] {
  const pids = new Set(tree.processes.map((p) => p.pid));
  const outer = tree.processes[0]?.pstree.sid;
  const parentOf = new Map<number, number>();
  return tree.processes.flatMap(({ pid, pstree: { sid, ppid } }) => {
    if (pids.has(sid) || sid === outer) return [];
    const parent = tree.processes.find((p) => p.pid === ppid);
    // Born into it by its parent: no leader is needed.
    if (parent?.pstree.sid === sid) return [];
    const known = parentOf.get(sid);
    parentOf.set(sid, known ?? ppid);
    return known === undefined || known === ppid ? [] : [{ pid, sid }];
  });
}
