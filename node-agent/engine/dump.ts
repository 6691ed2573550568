// The story of a dump. While the application is held, the end of the scope gives it back, however it comes, and so does the
// death of the engine.
import { endOriginals, keepFrozen } from './after-dump.ts';
import { RefusedError } from './finding.ts';
import { HeldApplication } from './held-application.ts';
import type { Orders } from './orders.ts';
import { preCopy } from './pre-copy.ts';
import type { DumpResult, DumpTask, Requirements } from './protocol.ts';
import type { Reporter } from './reporter.ts';
import { describeMoment, describeNode } from './requirements.ts';
import { Snapshots } from './snapshots.ts';
import { PairedConnections } from './state/files/tcp-pairs-dump.ts';
import { TreeDump } from './tree-dump.ts';
import { WriteTracking } from './write-tracking.ts';

/** Connections that a refusal elsewhere can name. */
const MOST_NAMED = 16;

/**
 * Saves the trees of a task.
 *
 * With `Resume` the application stands still only while its state is collected and a copy-on-write snapshot is taken; the
 * pages are written from the snapshot while it runs. With `KeepFrozen` and `Kill` they are written from the stopped
 * originals, which are frozen or ended when everything is on disk.
 *
 * @param orders for {@link DumpTask.rounds}
 * @throws RefusedError, LinuxError and others; the application then runs on
 */
export function dump(task: DumpTask, reporter: Reporter, orders?: Orders): DumpResult {
  using preCopied = preCopy(task, reporter, orders);
  reporter.stage('seizing');
  using application = HeldApplication.seize(task.trees);
  reporter.stage('preparing');
  application.prepare();
  const node = describeNode(application.processes[0]!.pid);
  using tracking = WriteTracking.begin(application, task, preCopied);
  using trees = new DisposableStack();
  using connections = connectionsOf(task);
  const prepared = { application, task, tracking, preCopied, connections };
  const dumps = task.trees.map((tree) => trees.use(TreeDump.prepare(tree, prepared)));
  if (task.afterDump === 'Resume' && !task.dryRun) tracking.copyWhileRunning(application);
  application.freeze(task.afterDump === 'Resume' ? task.freezeLimitMillis : 0);
  reporter.stage('frozen');
  for (const tree of dumps) tree.collect(application);
  connections?.save(task.dryRun);
  judge(dumps, task, reporter);
  tracking.mark(dumps.flatMap((tree) => tree.living.map(({ memory }) => memory)));
  const requirements = {
    ...node,
    ...describeMoment(application.processes[0]!),
    ...stayingOf(connections),
  };
  if (!task.dryRun) save(task, { application, dumps, requirements, reporter });
  application.letGo();
  const { preCopy: report } = tracking;
  tracking.handOver(task.trees[0]!.rootPid, (finding) => reporter.finding(finding));
  reporter.stage('done');
  return {
    trees: dumps.map((tree) => tree.describe()),
    freezeMillis: task.afterDump === 'Resume' ? application.freezeMillis : 0,
    bytes: dumps.reduce((sum, tree) => sum + tree.bytes, 0),
    ...(report && { preCopy: report }),
    findings: reporter.findings,
    requirements: { ...requirements, ...sums(dumps) },
  };
}

/** Those of all trees together: containers of a pod talk to each other. */
const connectionsOf = (task: DumpTask): PairedConnections | undefined =>
  task.establishedSockets === 'KeepPairs'
    ? new PairedConnections(task.afterDump === 'Resume')
    : undefined;

const stayingOf = (
  connections: PairedConnections | undefined,
): Pick<Requirements, 'connections'> =>
  connections && connections.outside.length > 0
    ? { connections: connections.outside.slice(0, MOST_NAMED) }
    : {};

interface Work {
  readonly application: HeldApplication;
  readonly dumps: readonly TreeDump[];
  readonly requirements: Requirements;
  readonly reporter: Reporter;
}

function save(task: DumpTask, work: Work): void {
  const { application, dumps, requirements, reporter } = work;
  for (const tree of dumps) tree.copyVolatile();
  if (task.afterDump === 'Resume') {
    savePagesWhileRunning(work);
  } else {
    reporter.stage('saving-pages');
    application.takeTime();
    for (const tree of dumps) tree.saveStandingPages(undefined, reporter, () => {});
  }
  reporter.stage('saving-state');
  for (const tree of dumps)
    tree.seal({ ...requirements, ...sums(dumps) }, application.freezeMillis);
  if (task.afterDump === 'KeepFrozen') {
    // No thread can do remote work in a frozen cgroup.
    application.putBack();
    keepFrozen(task.trees);
  }
  if (task.afterDump === 'Kill') {
    for (const tree of dumps) tree.beforeEnd();
    endOriginals(application);
  }
}

/** The application runs from here on; its pages are those of the moment of the freeze. */
function savePagesWhileRunning({ application, dumps, reporter }: Work): void {
  const checkLimit = (): void => application.checkLimit();
  using snapshots = Snapshots.take(application, dumps, (finding) => reporter.finding(finding));
  for (const tree of dumps) tree.saveStandingPages(snapshots, reporter, checkLimit);
  checkLimit();
  application.letGo();
  reporter.stage('thawed');
  reporter.stage('saving-pages');
  for (const tree of dumps) tree.savePages(snapshots, reporter);
}

/** @throws RefusedError when one of the trees holds something that cannot be saved */
function judge(dumps: readonly TreeDump[], task: DumpTask, reporter: Reporter): void {
  const findings = dumps.flatMap((tree) => tree.findings);
  for (const finding of findings) reporter.finding(finding);
  if (!task.dryRun && findings.some((f) => f.severity === 'refusal')) {
    throw new RefusedError(findings);
  }
}

function sums(dumps: readonly TreeDump[]): Pick<Requirements, 'memoryBytes' | 'threads'> {
  const reports = dumps.map((tree) => tree.describe());
  return {
    memoryBytes: reports.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
    threads: reports.reduce((sum, { threads }) => sum + threads, 0),
  };
}
