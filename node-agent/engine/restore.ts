// The story of a restore. Everything is read and judged before the first change; until the release the death of the engine
// ends the half-built processes, and afterwards they are the application.
import { describeFailure } from './failure.ts';
import { RefusedError } from './finding.ts';
import type { RestoreResult, RestoreTask, TreeReport } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { hurry } from './linux/urgency.ts';
import { TRACE_OPTION } from './linux/ptrace.ts';
import { TreeConstruction } from './restore/tree-construction.ts';
import { releaseTogether } from './restore/release.ts';
import { openSavedTree } from './restore/saved-images.ts';
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
  const findings = opened.flatMap((tree) => [...tree.check(), ...tree.checkRights()]);
  for (const finding of findings) reporter.finding(finding);
  if (findings.some((f) => f.severity === 'refusal')) throw new RefusedError(findings);

  const tracer = new Tracer(TRACE_OPTION.EXITKILL);
  const trees = opened.map((saved) => new TreeConstruction(saved, tracer, reporter));
  try {
    reporter.stage('building-tree');
    hurried(() => trees.forEach((tree) => tree.bear()));
    reporter.stage('filling-memory');
    for (const tree of trees) tree.fillMemory();
    reporter.stage('opening-files');
    hurried(() => trees.forEach((tree) => tree.openFiles()));
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
    findings: reporter.findings,
  };
}

/** Thousands of short remote calls, each of which would wait for a CPU on a busy node; not for what fills memory. */
function hurried(steps: () => void): void {
  using _urgency = hurry();
  steps();
}
