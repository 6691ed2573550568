// The story of a rewind's first half: running trees become the placeholders that a restore begins with. Until the first of
// them executes the placeholder's program nothing has changed, whoever fails or dies; from then on the engine's death is the
// containers' end.
import { type Finding, RefusedError } from './finding.ts';
import { HeldApplication } from './held-application.ts';
import { readMounts } from './linux/procfs/mountinfo.ts';
import { tcpRows } from './linux/procfs/tcp-table.ts';
import { SIGNAL, sendSignal } from './linux/signals.ts';
import type { RewindResult, RewindTask, RewindTree } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { openSavedTree, type OpenedTree } from './restore/saved-images.ts';
import { PidTakenError } from './restore/process-cloner.ts';
import { becomePlaceholder } from './rewind/become-placeholder.ts';
import { clearPlaceholder, releasePlaceholder } from './rewind/clear-placeholder.ts';
import { carry, judgeCarried } from './rewind/carried.ts';
import { OpenConnections } from './rewind/connections.ts';
import { awaitFreeIds, idsOf, takenBesides } from './rewind/free-pids.ts';
import { judgeRoot } from './rewind/judge.ts';
import { judgePairs, judgePorts, lingeringPorts } from './rewind/lingering.ts';
import { rootFacts, wantedStreams } from './rewind/root-facts.ts';
import { SavedFiles } from './state/files/saved-files.ts';
import { type CarriedEntry, carriedEntries } from './state/files/carried-connections.ts';
import { checkPairs, pairedConnections } from './state/files/tcp-pairs-restore.ts';
import type { TracedProcess } from './tracee/traced-process.ts';

/** Told of files; what those are like that are put back between this half and the other does not matter. */
const PUT_BACK: ReadonlySet<string> = new Set([
  'FileMissing',
  'FileModeChanged',
  'FileSizeChanged',
]);

/**
 * @throws RefusedError, PidTakenError, ImageError, UnstoppableError and others; the application then runs on
 * @throws RewindLostError when it cannot any more
 */
export function rewind(task: RewindTask, reporter: Reporter): RewindResult {
  reporter.stage('validating');
  using images = new DisposableStack();
  const trees = task.trees.map((tree) => openTree(tree, images));
  const files = trees.map(({ saved }) => new SavedFiles(saved.images));
  refuse(
    [...trees.flatMap(({ tree, saved }) => findingsOf(tree, saved)), ...checkPairs(files)],
    reporter,
  );
  for (const { tree, saved } of trees) awaitFreeIds(tree.rootPid, idsOf(saved.tree));
  reporter.stage('seizing');
  using application = HeldApplication.seize(task.trees);
  reporter.stage('preparing');
  application.prepare();
  application.freeze(task.freezeLimitMillis);
  reporter.stage('frozen');
  refuse(
    [...trees.flatMap((tree) => judge(tree, application)), ...judgeConnections(files, application)],
    reporter,
  );
  const ended = task.dryRun ? 0 : emptyAll(trees, application, reporter);
  application.letGo();
  reporter.stage('done');
  return {
    endedProcesses: ended,
    freezeMillis: application.freezeMillis,
    findings: reporter.findings,
  };
}

/** The running program is gone, and what was to take its place failed: its container has been ended. */
export class RewindLostError extends Error {
  constructor(cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`the running processes were ended, and then: ${reason}`, { cause });
    this.name = 'RewindLostError';
  }
}

interface TreeToRewind {
  readonly tree: RewindTree;
  readonly saved: OpenedTree;
}

function openTree(tree: RewindTree, stack: DisposableStack): TreeToRewind {
  const { name, imagesDir, rootPid } = tree;
  const saved = openSavedTree({ name, imagesDir, placeholderPid: rootPid });
  stack.use(saved.images);
  return { tree, saved };
}

function findingsOf({ name, putBack, rootPid }: RewindTree, saved: OpenedTree): Finding[] {
  const points = readMounts(rootPid).map(({ point }) => point);
  return saved
    .check()
    .filter(
      ({ code, object }) => !(PUT_BACK.has(code) && putBack.includes(mountOf(object, points))),
    )
    .map((finding) => ({ ...finding, tree: name }));
}

/** The mount point that a path lies on. */
export function mountOf(path: string, points: readonly string[]): string {
  const above = points.filter((point) => path === point || path.startsWith(`${point}/`));
  return above.reduce((longest, point) => (point.length > longest.length ? point : longest), '/');
}

function refuse(findings: readonly Finding[], reporter: Reporter): void {
  for (const finding of findings) reporter.finding(finding);
  if (findings.some(({ severity }) => severity === 'refusal')) throw new RefusedError(findings);
}

function judge({ tree, saved }: TreeToRewind, application: HeldApplication): Finding[] {
  const taken = takenBesides(tree.rootPid, idsOf(saved.tree));
  if (taken !== undefined) throw new PidTakenError(taken);
  const root = rootOf(tree, application);
  const facts = rootFacts(root, application.processes);
  const { entries } = new SavedFiles(saved.images);
  const sockets = [...entries.values()].flatMap(({ isk }) => isk ?? []);
  return [
    ...judgeRoot(saved.tree, wantedStreams([...entries.values()]), facts),
    ...judgePorts(sockets, lingeringPorts(tcpRows(root.pid))),
  ].map((finding) => ({ ...finding, tree: tree.name }));
}

/** All trees are in the network namespace of their pod. */
function judgeConnections(files: readonly SavedFiles[], { processes }: HeldApplication): Finding[] {
  const paired = files.flatMap(pairedConnections);
  const carried = files.flatMap(carriedEntries);
  const [first] = processes;
  if (paired.length + carried.length === 0 || !first) return [];
  using connections = new OpenConnections(processes);
  return [
    ...judgePairs(paired, tcpRows(first.pid), connections.inodes),
    ...judgeCarried(carried, connections.positions(cookiesOf(carried))),
  ];
}

const cookiesOf = (entries: readonly CarriedEntry[]): ReadonlySet<bigint> =>
  new Set(entries.map(({ position }) => position.cookie));

function rootOf({ rootPid, name }: RewindTree, { tracer }: HeldApplication): TracedProcess {
  const root = tracer.processes.get(rootPid);
  if (!root) throw new Error(`the root process ${rootPid} of ${name} has ended`);
  return root;
}

/** @returns how many processes were ended */
function emptyAll(
  trees: readonly TreeToRewind[],
  application: HeldApplication,
  reporter: Reporter,
): number {
  const roots = trees.map(({ tree, saved }) => ({ root: rootOf(tree, application), saved }));
  const others = application.processes.filter((p) => !roots.some(({ root }) => root === p));
  using connections = new OpenConnections(application.processes);
  const placeholders: TracedProcess[] = [];
  try {
    for (const { root } of roots) {
      becomePlaceholder(root, application.tracer);
      placeholders.push(root);
      reporter.stage('rewinding');
    }
    for (const { pid } of others) sendSignal(pid, SIGNAL.SIGKILL);
    for (const process of others) application.tracer.awaitEnd(process);
    for (const { root, saved } of roots) clearPlaceholder(root, saved.tree.processes[0]!);
    for (const { root, saved } of roots) {
      carry(root, connections, cookiesOf(carriedEntries(new SavedFiles(saved.images))));
    }
    connections.reset();
    for (const { root } of roots) releasePlaceholder(root, application.tracer);
    return others.length;
  } catch (error) {
    if (placeholders.length === 0) throw error;
    for (const { pid } of placeholders) sendSignal(pid, SIGNAL.SIGKILL);
    throw new RewindLostError(error);
  }
}
