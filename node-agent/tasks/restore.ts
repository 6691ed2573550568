// Restore: rebuilds the processes of a bundle inside a placeholder pod. Everything is judged before the first change.
import type { RestorePayload, TaskResult } from '../../crds/node-task.ts';
import type { Directory } from '../bundle/directory.ts';
import { CONTAINER_FILES } from '../bundle/layout.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { verifyBundle } from '../bundle/verify.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { mountPoints } from '../container/mounts.ts';
import { TaskFailure } from '../task-failure.ts';
import { openExistingBundle, openPlace } from './bundle-place.ts';
import { byteCounter } from './byte-counter.ts';
import { type HeldContainers, holdContainers } from './containers.ts';
import { shortReport } from './dump-report.ts';
import { reportOf } from './engine-failure.ts';
import {
  assertNoShortcomings,
  factsOfThisNode,
  shortcomings,
  type TargetContainer,
} from './requirements.ts';
import { rebuildProcesses } from './restore-processes.ts';
import type { SpecOf, TaskContext, TaskHandler } from './task-context.ts';

export type RestoreContext = TaskContext<SpecOf<'Restore'>>;

/** What shim/init.c calls itself. */
const PLACEHOLDER_NAME = 'diapause-init';

export const restoreHandler: TaskHandler<'Restore'> = {
  type: 'Restore',
  podUid: (spec) => spec.restore.pod.uid,
  run,
  resume,
  // A placeholder that nobody wants any more is deleted with its pod.
  abandon: () => Promise.resolve(),
};

async function run(context: RestoreContext): Promise<TaskResult> {
  const { restore } = context.spec;
  context.progress.stage('finding-containers');
  using containers = await holdContainers(context, restore);
  containers.all.forEach(assertPlaceholder);
  context.progress.stage('opening-store');
  await using opened = await openPlace(context, restore.store, false);
  await using bundle = await openExistingBundle(opened);
  const work = { containers, bundle, signal: opened.signal };
  const { manifest, report } = await prepare(context, work).catch((error: unknown) => {
    // An engine that fails takes the half-built processes, the placeholder's among them, with it.
    throw context.journal.step === 'engine' ? error : containers.explain(error);
  });
  // From here on a failure of the engine ends the placeholder: its death is no cause but a consequence.
  const rebuilt = await rebuildProcesses(context, { ...work, manifest });
  const result = { ...rebuilt, report: shortReport([...report, ...(rebuilt.report ?? [])]) };
  // The processes run: an agent that ends now has only its report left to make.
  await context.journal.note('sealing', { result });
  return result;
}

/** Everything up to the first change of a process. */
async function prepare(context: RestoreContext, work: Omit<RestoreWork, 'manifest'>) {
  const { restore } = context.spec;
  const manifest = await verify(context, work.bundle, work.signal);
  judge(manifest, restore, work.containers);
  return { manifest, report: await restoreFiles(context, { ...work, manifest }) };
}

/** Applying files can be repeated; an engine that was at work has changed the placeholder beyond repair. */
async function resume(context: RestoreContext): Promise<TaskResult> {
  const { step, facts } = context.journal;
  if (step === 'sealing' && facts.result !== undefined) {
    return facts.result;
  }
  if (step === 'engine') {
    const message = 'the agent of this node ended while the processes were being rebuilt';
    throw new TaskFailure('AgentRestarted', message);
  }
  return await run(context);
}

export interface RestoreWork {
  readonly containers: HeldContainers;
  readonly bundle: Directory;
  readonly manifest: Manifest;
  readonly signal: AbortSignal;
}

/** Whatever runs there instead would be overwritten. */
function assertPlaceholder({ process, name }: FoundContainer): void {
  const comm = process.read('comm').trim();
  if (comm !== PLACEHOLDER_NAME) {
    const facts = `container ${name} runs ${comm}, not the placeholder that waits for processes`;
    throw new TaskFailure('ContainerMismatch', facts);
  }
}

async function verify(
  { spec, progress }: RestoreContext,
  bundle: Directory,
  signal: AbortSignal,
): Promise<Manifest> {
  const counter = byteCounter(progress, 'verifying');
  return await verifyBundle(bundle, { digest: spec.restore.bundleDigest, signal, ...counter });
}

function judge(manifest: Manifest, { containers }: RestorePayload, held: HeldContainers): void {
  const unknown = containers.find(
    ({ name }) => !manifest.containers.some((saved) => saved.name === name),
  );
  if (unknown !== undefined) {
    const facts = `the bundle holds no container ${unknown.name}`;
    throw new TaskFailure('ContainerNotFound', facts);
  }
  const targets = held.all.map(describeTarget);
  assertNoShortcomings(shortcomings(manifest, factsOfThisNode(), targets));
}

function describeTarget({ name, imageID, cgroup, mounts }: FoundContainer): TargetContainer {
  const { memoryLimitBytes, pidsLimit } = cgroup;
  const points = new Set(mountPoints(mounts));
  return { name, imageID, memoryLimitBytes, pidsLimit, mountPoints: points };
}

async function restoreFiles(
  { tools, progress }: RestoreContext,
  { containers, bundle, manifest, signal }: RestoreWork,
) {
  progress.stage('restoring-files');
  const report = [];
  for (const container of containers.all) {
    await using folder = await bundle.directory(container.name);
    if (hasRootfsDiff(manifest, container.name)) {
      const { findings } = await tools.rootfs.run(
        {
          type: 'apply',
          mountNamespace: container.process.externalPath('ns/mnt'),
          inputDirectory: folder.externalPath,
          protect: mountPoints(container.mounts),
        },
        { signal, onBytes: (bytes) => progress.bytes(bytes) },
      );
      report.push(...reportOf(findings, container.name));
    }
  }
  return report;
}

function hasRootfsDiff({ files }: Manifest, container: string): boolean {
  return files.some(({ path }) => path === `${container}/${CONTAINER_FILES.rootfsDiff}`);
}
