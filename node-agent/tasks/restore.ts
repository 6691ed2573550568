// Restore: rebuilds the processes of a bundle inside a placeholder pod. Everything is judged before the first change.
import type { RestorePayload, TaskResult } from '../../crds/node-task.ts';
import type { Directory } from '../bundle/directory.ts';
import { CONTAINER_FILES } from '../bundle/layout.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { readManifest, verifyBundle } from '../bundle/verify.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { mountPoints } from '../container/mounts.ts';
import { TaskFailure } from '../task-failure.ts';
import { byteCounter } from './byte-counter.ts';
import { type HeldContainers, holdContainers } from './containers.ts';
import { shortReport } from './dump-report.ts';
import { restoreEmptyDirs } from './empty-dirs.ts';
import { reportOf } from './engine-failure.ts';
import { askRestored } from './hooks/after-restore.ts';
import { runHooks } from './hooks/run-hooks.ts';
import {
  assertConnectionsStay,
  assertNoShortcomings,
  factsOfThisNode,
  shortcomings,
  type TargetContainer,
} from './requirements.ts';
import { untilPlaceholder } from './placeholder.ts';
import { openSource } from './restore-source.ts';
import { rebuildProcesses } from './restore-processes.ts';
import { endAfter, endLeftover, rewindProcesses } from './rewind.ts';
import { rootLayers } from './root-layers.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

export type RestoreContext = TaskContext<SpecOf<'Restore'>>;

export const restoreHandler: TaskHandler<'Restore'> = {
  type: 'Restore',
  podUid: (spec) => spec.restore.pod.uid,
  run,
  resume,
  mustFinish: ({ step, facts }) => step === 'sealing' && facts.result !== undefined,
  // A placeholder that nobody wants any more is deleted with its pod; a running pod gets its program back by a restart.
  abandon: async (context) => void (await endLeftover(context)),
};

async function run(context: RestoreContext): Promise<TaskResult> {
  const { restore } = context.spec;
  context.progress.stage('finding-containers');
  using containers = await holdContainers(context, restore);
  if (!mustRewind(context)) {
    const { signal } = context;
    await Promise.all(containers.all.map((one) => untilPlaceholder(one, signal)));
  }
  context.progress.stage('opening-store');
  await using source = await openSource(context);
  const found = { containers, bundle: source.bundle, signal: source.signal };
  try {
    const work = { ...found, manifest: await verifyAndJudge(context, found) };
    if (mustRewind(context)) {
      // While the present application still runs: nothing is lost by a hook that fails.
      await runPreHooks(context);
      await rewindProcesses(context, work);
    }
    await rebuild(context, work);
  } catch (error) {
    throw afterFailure(context, containers, error);
  }
  return await verified(context);
}

const mustRewind = ({ spec, journal }: RestoreContext): boolean =>
  spec.restore.inPlace === true && journal.step !== 'rewound';

/** The placeholders wait. */
async function rebuild(context: RestoreContext, work: RestoreWork): Promise<void> {
  const files = await restoreFiles(context, work);
  if (context.spec.restore.inPlace !== true) {
    await runPreHooks(context);
  }
  // From here on a failure of the engine ends the placeholder: its death is no cause but a consequence.
  const { compared, result } = await rebuildProcesses(context, work);
  const { hookNotes = [] } = context.journal.facts;
  const report = shortReport([...files, ...hookNotes, ...(result.report ?? [])]);
  // The processes run: an agent that ends now has only to ask them, and to report.
  await context.journal.note('sealing', { result: { ...result, report }, compared });
}

/** Inside the pod, before its processes are the saved ones. */
async function runPreHooks(context: RestoreContext): Promise<void> {
  const { journal, progress, signal, spec, tools } = context;
  const { pod, hooks } = spec.restore;
  if (hooks === undefined || hooks.pre.length === 0) {
    return;
  }
  progress.stage('pre-hooks');
  const { notes, failure } = await runHooks(hooks.pre, 'pre', { tools, pod, signal });
  if (failure !== undefined) {
    throw failure;
  }
  await journal.note(journal.step, { hookNotes: notes });
}

/** What the restored processes say completes the result. */
async function verified(context: RestoreContext): Promise<TaskResult> {
  const { journal, progress, signal, spec, tools } = context;
  const { result = {}, compared } = journal.facts;
  if (result.verification !== undefined || compared === undefined) {
    return result;
  }
  const { pod, bundleDigest } = spec.restore;
  const { notes, verification } = await askRestored(
    spec.restore,
    { ...compared, bundleDigest },
    { tools, pod, signal, stage: (name) => progress.stage(name) },
  );
  const report = shortReport([...(result.report ?? []), ...notes]);
  const whole = { ...result, report, verification };
  await journal.note('sealing', { result: whole });
  return whole;
}

/** Everything up to the first change. */
async function verifyAndJudge(
  context: RestoreContext,
  { containers, bundle, signal }: Omit<RestoreWork, 'manifest'>,
): Promise<Manifest> {
  const manifest = await verify(context, bundle, signal);
  judge(manifest, context.spec.restore, containers);
  return manifest;
}

function afterFailure(
  { spec, journal }: RestoreContext,
  containers: HeldContainers,
  error: unknown,
): unknown {
  if (spec.restore.inPlace === true && ['rewound', 'engine'].includes(journal.step)) {
    return endAfter(error, containers);
  }
  // An engine that fails takes the half-built processes, the placeholder's among them, with it.
  const isConsequence = ['engine', 'rewinding'].includes(journal.step);
  return isConsequence ? error : containers.explain(error);
}

/** Applying files can be repeated; an engine that was at work has changed the placeholder beyond repair. */
async function resume(context: RestoreContext): Promise<TaskResult> {
  const { step, facts } = context.journal;
  if (step === 'sealing' && facts.result !== undefined) {
    return await verified(context);
  }
  if (step === 'engine' || step === 'rewinding') {
    throw await endLeftover(context);
  }
  return await run(context);
}

export interface RestoreWork {
  readonly containers: HeldContainers;
  readonly bundle: Directory;
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
}

async function verify(
  { spec, progress, tools }: RestoreContext,
  bundle: Directory,
  signal: AbortSignal,
): Promise<Manifest> {
  const { received, bundleDigest } = spec.restore;
  if (received !== undefined && tools.localSpace.isWhole(received.taskUid, bundleDigest)) {
    // Every byte was compared as it came in, by this very process, and nobody else can write there.
    return await readManifest(bundle, bundleDigest, 'gmac');
  }
  const checksum = received === undefined ? 'sha256' : 'gmac';
  const counter = byteCounter(progress, 'verifying');
  return await verifyBundle(bundle, { digest: bundleDigest, checksum, signal, ...counter });
}

function judge(
  manifest: Manifest,
  { containers, inPlace }: RestorePayload,
  held: HeldContainers,
): void {
  const unknown = containers.find(
    ({ name }) => !manifest.containers.some((saved) => saved.name === name),
  );
  if (unknown !== undefined) {
    const facts = `the bundle holds no container ${unknown.name}`;
    throw new TaskFailure('ContainerNotFound', facts);
  }
  assertConnectionsStay(manifest, inPlace === true);
  const targets = held.all.map(describeTarget);
  assertNoShortcomings(shortcomings(manifest, factsOfThisNode(), targets));
}

function describeTarget({ name, imageID, cgroup, mounts }: FoundContainer): TargetContainer {
  const { memoryLimitBytes, pidsLimit } = cgroup;
  const points = new Set(mountPoints(mounts));
  return { name, imageID, memoryLimitBytes, pidsLimit, mountPoints: points };
}

async function restoreFiles(context: RestoreContext, work: RestoreWork) {
  const { tools, progress, spec } = context;
  const { containers, bundle, manifest, signal } = work;
  progress.stage('restoring-files');
  const report = [];
  for (const container of containers.all) {
    await using folder = await bundle.directory(container.name);
    if (hasRootfsDiff(manifest, container.name)) {
      const undo = spec.restore.inPlace === true && rootLayers(container, tools.nodeRoot);
      const { findings } = await tools.rootfs.run(
        {
          type: 'apply',
          mountNamespace: container.process.externalPath('ns/mnt'),
          inputDirectory: folder.externalPath,
          protect: mountPoints(container.mounts),
          ...(undo && { undo }),
        },
        { signal, onBytes: (bytes) => progress.bytes(bytes) },
      );
      report.push(...reportOf(findings, container.name));
    }
  }
  // Volumes last: they may lie on folders that the difference makes.
  report.push(...(await restoreEmptyDirs(context, work)));
  return report;
}

function hasRootfsDiff({ files }: Manifest, container: string): boolean {
  return files.some(({ path }) => path === `${container}/${CONTAINER_FILES.rootfsDiff}`);
}
