// In which order a process gives birth to its children and starts its session, and what of it must wait for its memory. Pure.
import type { TracedProcess } from '../tracee/traced-process.ts';
import type { SavedProcess, SavedTree } from '../state/records.ts';

/** What all decisions about one tree start from. */
export interface Family {
  readonly tree: SavedTree;
  /** pids of those who are born with their parent's memory */
  readonly heirs: ReadonlySet<number>;
  /** a session has begun, and its leader has no children in it yet */
  readonly sessionBegan?: (sid: number, leader: TracedProcess) => void;
}

export type BirthStep =
  | { readonly kind: 'fork'; readonly child: SavedProcess; readonly session: number }
  | { readonly kind: 'start-session' }
  /** into a session whose leader had ended: another one leads it for a moment */
  | {
      readonly kind: 'fork-into-dead-session';
      readonly session: number;
      readonly children: readonly SavedProcess[];
    };

export interface BirthOrder {
  /** while the process is a copy of the tiny placeholder: forks cost nothing */
  readonly before: readonly BirthStep[];
  /** when it has its memory: heirs, and whoever must come after them */
  readonly after: readonly BirthStep[];
}

/**
 * A child whose saved session is the one its parent was born into must be forked before the parent starts a session of
 * its own; all others after that.
 *
 * @param inherited the session that the process was born into
 */
export function birthOrder(
  { tree, heirs }: Family,
  { pid, pstree }: SavedProcess,
  inherited: number,
): BirthOrder {
  const children = tree.processes.filter((p) => p.pid !== pid && p.pstree.ppid === pid);
  const startsSession = pstree.sid === pid && inherited !== pid;
  const isEarly = (child: SavedProcess): boolean =>
    startsSession && child.pstree.sid === inherited && child.pstree.sid !== child.pid;
  const early = children.filter(isEarly).map((child) => fork(child, inherited));
  const late = children.filter((child) => !isEarly(child));
  const ownSession: BirthStep[] = startsSession ? [{ kind: 'start-session' }] : [];
  const rest = [...ownSession, ...lateBirths(tree, late, startsSession ? pid : inherited)];
  const waits = (step: BirthStep): boolean =>
    childrenOf(step).some((child) => heirs.has(child.pid));
  // With one of the early births everything behind them waits
  const restWaits = early.some(waits) ? (): boolean => true : waits;
  return {
    before: [...early.filter((s) => !waits(s)), ...rest.filter((s) => !restWaits(s))],
    after: [...early.filter(waits), ...rest.filter(restWaits)],
  };
}

const fork = (child: SavedProcess, session: number): BirthStep => ({
  kind: 'fork',
  child,
  session,
});

function lateBirths(tree: SavedTree, late: readonly SavedProcess[], session: number): BirthStep[] {
  const pids = new Set(tree.processes.map((p) => p.pid));
  const orphaned = ({ pstree: { sid } }: SavedProcess): boolean =>
    sid !== session && !pids.has(sid);
  const dead = new Set(late.filter(orphaned).map((child) => child.pstree.sid));
  return [
    ...late.filter((child) => !orphaned(child)).map((child) => fork(child, session)),
    ...[...dead].map((sid): BirthStep => {
      const children = late.filter((child) => child.pstree.sid === sid);
      return { kind: 'fork-into-dead-session', session: sid, children };
    }),
  ];
}

function childrenOf(step: BirthStep): readonly SavedProcess[] {
  switch (step.kind) {
    case 'fork':
      return [step.child];
    case 'fork-into-dead-session':
      return step.children;
    case 'start-session':
      return [];
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
