// The story of a restore. Everything is read and judged before the first change; until the release the death of the engine
// ends the half-built processes, and afterwards they are the application.
import { PAGE_SPACES_MAX } from '../../shim/shim.generated.ts';
import { describeFailure } from './failure.ts';
import { type Finding, RefusedError } from './finding.ts';
import type {
  LazyPagesTask,
  LazyReport,
  RestoreResult,
  RestoreTask,
  TreeReport,
} from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { hurry } from './linux/urgency.ts';
import { TRACE_OPTION } from './linux/ptrace.ts';
import { bytesOf } from './memory/saved-pages.ts';
import { TreeConstruction } from './restore/tree-construction.ts';
import { startPageServer } from './restore/page-server.ts';
import { releaseTogether } from './restore/release.ts';
import { type OpenedTree, openSavedTree } from './restore/saved-images.ts';
import { checkCarried } from './state/files/carried-connections.ts';
import { SavedFiles } from './state/files/saved-files.ts';
import { checkPairs, PairRestore } from './state/files/tcp-pairs-restore.ts';
import { Tracer } from './tracee/tracer.ts';

/**
 * Rebuilds the trees of a task.
 *
 * @throws RefusedError | ImageError before anything was changed
 * @throws Error later on; then nothing half-built is left
 */
export function restore(task: RestoreTask, reporter: Reporter): RestoreResult {
  const start = performance.now();
  reporter.stage('validating');
  const opened = task.trees.map((tree) => openSavedTree(tree));
  const findings = [
    ...opened.flatMap((tree) => [...tree.check(), ...tree.checkRights()]),
    ...checkConnections(opened),
  ];
  for (const finding of findings) reporter.finding(finding);
  if (findings.some((f) => f.severity === 'refusal')) throw new RefusedError(findings);

  const tracer = new Tracer(TRACE_OPTION.EXITKILL);
  const { lazyPages } = task;
  const mostLazy = lazyPages ? Math.floor(PAGE_SPACES_MAX / opened.length) : 0;
  const all = { pairs: new PairRestore(), mostLazy };
  const trees = opened.map((saved) => new TreeConstruction(saved, tracer, reporter, all));
  let lazy: LazyReport | undefined;
  try {
    reporter.stage('building-tree');
    hurried(() => trees.forEach((tree) => tree.bear()));
    reporter.stage('filling-memory');
    for (const tree of trees) tree.fillMemory();
    // From here on the kernel may touch pages that are not there, for the processes: somebody must bring them.
    if (lazyPages) lazy = bringLater(trees, lazyPages);
    reporter.stage('opening-files');
    hurried(() => {
      for (const tree of trees) tree.openFiles();
      all.pairs.restore();
    });
    reporter.stage('comparing-memory');
    for (const tree of trees) tree.compareMemory();
    reporter.stage('starting-threads');
    hurried(() => {
      for (const tree of trees) tree.bearThreads();
      for (const tree of trees) tree.finish();
    });
  } catch (error) {
    reporter.failed(describeFailure(error));
    for (const tree of trees) tree.abandon();
    throw error;
  }
  releaseTogether(
    trees.flatMap((tree) => tree.processes),
    tracer,
    task.leaveStopped,
  );
  reporter.stage('released');
  for (const tree of trees) tree.close();
  return {
    trees: trees.map((tree): TreeReport => tree.describe()),
    rootPids: trees.map((tree) => tree.rootPid),
    restoreMillis: performance.now() - start,
    comparedPages: trees.reduce((sum, { compared }) => sum + compared.comparedPages, 0),
    savedPages: trees.reduce((sum, { compared }) => sum + compared.savedPages, 0),
    ...(lazy ? { lazy } : {}),
    findings: reporter.findings,
  };
}

/** @returns undefined when nothing is missing */
function bringLater(
  trees: readonly TreeConstruction[],
  { logFile }: LazyPagesTask,
): LazyReport | undefined {
  const spaces = trees.flatMap(({ missing }) => missing);
  if (spaces.length === 0) return undefined;
  const processes = trees.flatMap((tree) => tree.processes.map(({ process }) => process.pid));
  const taken = new Set(trees.flatMap(({ takenPids }) => [...takenPids]));
  const serverPid = startPageServer({ spaces, processes, taken, logFile });
  if (serverPid === undefined) return undefined;
  return { serverPid, bytes: spaces.reduce((sum, { runs }) => sum + bytesOf(runs), 0) };
}

/** Those that are kept must have their other sides. */
function checkConnections(trees: readonly OpenedTree[]): Finding[] {
  const files = trees.map(({ images }) => new SavedFiles(images));
  const carried = trees.flatMap(({ placeholderPid, target: { rewound } }, i) =>
    checkCarried(files[i]!, rewound ? placeholderPid : undefined),
  );
  return [...checkPairs(files), ...carried];
}

/** Thousands of short remote calls, each of which would wait for a CPU on a busy node; not for what fills memory. */
function hurried(steps: () => void): void {
  using _urgency = hurry();
  steps();
}
