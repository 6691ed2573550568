// The story of a dump. While the application is held, the end of the scope gives it back, however it comes, and so does the
// death of the engine.
import { endOriginals, keepFrozen } from './after-dump.ts';
import { RefusedError } from './finding.ts';
import { HeldApplication } from './held-application.ts';
import { TreeDump } from './tree-dump.ts';
import { Snapshots } from './snapshots.ts';
import type { DumpResult, DumpTask } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { describeRequirements } from './requirements.ts';

/**
 * Saves the trees of a task.
 *
 * With `Resume` the application stands still only while its state is collected and a copy-on-write snapshot is taken; the
 * pages are written from the snapshot while it runs. With `KeepFrozen` and `Kill` they are written from the stopped
 * originals, which are frozen or ended when everything is on disk.
 *
 * @throws RefusedError, LinuxError and others; the application then runs on
 */
export function dump(task: DumpTask, reporter: Reporter): DumpResult {
  reporter.stage('seizing');
  using application = HeldApplication.seize(task.trees);
  reporter.stage('preparing');
  application.prepare();
  application.freeze(task.afterDump === 'Resume' ? task.freezeLimitMillis : 0);
  reporter.stage('frozen');
  const trees = task.trees.map((tree) => TreeDump.collect(tree, application, task));
  judge(trees, task, reporter);
  const requirements = describeRequirements(application, trees);
  if (!task.dryRun) {
    for (const tree of trees) tree.copyVolatile();
    if (task.afterDump === 'Resume') saveWhileRunning(application, trees, reporter);
    else for (const tree of trees) tree.savePages((process) => process, reporter);
    reporter.stage('saving-state');
    for (const tree of trees) tree.seal(requirements, application.freezeMillis);
    if (task.afterDump === 'KeepFrozen') keepFrozen(application);
    if (task.afterDump === 'Kill') endOriginals(application);
  }
  application.letGo();
  reporter.stage('done');
  return {
    trees: trees.map((tree) => tree.describe()),
    freezeMillis: task.afterDump === 'Resume' ? application.freezeMillis : 0,
    bytes: trees.reduce((sum, tree) => sum + tree.bytes, 0),
    findings: reporter.findings,
    requirements,
  };
}

/** The application runs from here on; its pages are those of the moment of the freeze. */
function saveWhileRunning(
  application: HeldApplication,
  trees: readonly TreeDump[],
  reporter: Reporter,
): void {
  using snapshots = Snapshots.take(application, trees);
  application.checkLimit();
  application.letGo();
  reporter.stage('thawed');
  reporter.stage('saving-pages');
  for (const tree of trees) tree.savePages((process) => snapshots.of(process), reporter);
}

/** @throws RefusedError when one of the trees holds something that cannot be saved */
function judge(trees: readonly TreeDump[], task: DumpTask, reporter: Reporter): void {
  const findings = trees.flatMap((tree) => tree.findings);
  for (const finding of findings) reporter.finding(finding);
  if (!task.dryRun && findings.some((f) => f.severity === 'refusal'))
    throw new RefusedError(findings);
}
