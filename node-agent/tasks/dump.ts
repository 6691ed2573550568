// Dump: saves the processes and files of a pod as a bundle. The order of a dump, and what is undone when it fails.
import type { DumpPayload, TaskResult } from '../../crds/node-task.ts';
import { Staging } from '../bundle/staging.ts';
import type { Directory } from '../bundle/directory.ts';
import { refusalsOfPod, sharesProcessNamespace } from '../container/pod-checks.ts';
import { TaskFailure } from '../task-failure.ts';
import { type OpenPlace, openPlace } from './bundle-place.ts';
import { type HeldContainers, holdContainers } from './containers.ts';
import { rehearse } from './dump-rehearsal.ts';
import { saveProcesses } from './dump-processes.ts';
import { finishBundle, giveName } from './dump-bundle.ts';
import { dumpToPeer } from './dump-transfer.ts';
import { undoDump } from './dump-undo.ts';
import { runPostHooks, runPreHooks, withHooks } from './hooks/dump-hooks.ts';
import type { SavedDump } from './journal.ts';
import { cleanUpSource } from './source-clean-up.ts';
import { HandOver, type SpecOf, type TaskContext, type TaskHandler } from './task-context.ts';

export type DumpContext = TaskContext<SpecOf<'Dump'>>;

export const dumpHandler: TaskHandler<'Dump'> = {
  type: 'Dump',
  podUid: (spec) => spec.dump.pod.uid,
  run,
  resume,
  abandon: async (context) => {
    await cleanUpLater(context);
    await undoDump(context);
    await runPostHooks(context);
  },
};

async function run(context: DumpContext): Promise<TaskResult> {
  const { dump } = context.spec;
  refusePod(dump);
  context.progress.stage('finding-containers');
  using containers = await holdDumpContainers(context);
  if (dump.dryRun) {
    return await rehearse(context, containers);
  }
  const { transfer } = dump;
  return await undoneOnFailure(context, containers, async () => {
    if (transfer !== undefined) {
      return await dumpToPeer(context, containers, transfer);
    }
    context.progress.stage('opening-store');
    await context.journal.note('staging');
    await using opened = await openPlace(context, dump.store, true);
    const folder = madeFolder(opened);
    await assertRoom(folder, containers);
    await using staging = await Staging.create(folder, originOf(context, opened));
    await runPreHooks(context);
    const saved = await saveProcesses(context, containers, staging, {
      signal: opened.signal,
    });
    await afterwards(context);
    return await seal(context, { containers, opened, staging, saved });
  });
}

/** What an earlier agent left runs already; see recovery.ts. */
async function resume(context: DumpContext): Promise<TaskResult> {
  const { step, facts } = context.journal;
  // The key that the target knows us by went with the agent that made it.
  const isLost = context.spec.dump.transfer !== undefined;
  switch (isLost ? 'ended' : step) {
    case 'begun':
      return await run(context);
    case 'staging':
      await undoDump(context);
      return await run(context);
    case 'saved':
      return await goOn(context, facts.saved);
    case 'sealing':
      return await nameOnly(context);
    case 'engine':
    case 'rewinding':
    case 'rewound':
    case 'ended':
      await cleanUpLater(context);
      await undoDump(context);
      throw withHooks(
        interrupted('while the processes were being saved'),
        facts.hookNotes ?? [],
        await runPostHooks(context),
      );
  }
}

/** The images are complete. A source that stays frozen can do nothing. */
async function afterwards(context: DumpContext): Promise<void> {
  const failure =
    context.spec.dump.afterDump === 'Resume' ? await runPostHooks(context) : undefined;
  if (failure !== undefined) {
    throw failure;
  }
}

/** The engine of an earlier agent died with it, or soon after. */
async function cleanUpLater(context: DumpContext): Promise<void> {
  if (context.journal.step !== 'engine') return;
  try {
    using containers = await holdDumpContainers(context);
    await cleanUpSource(context, containers);
  } catch {
    // The containers are gone, and with them whatever was left.
  }
}

/** The images are complete; everything after them is done again. */
async function goOn(context: DumpContext, saved: SavedDump | undefined): Promise<TaskResult> {
  if (saved === undefined) {
    throw interrupted('and its journal is incomplete');
  }
  return await undoneOnFailure(context, undefined, async () => {
    await afterwards(context);
    using containers = await holdDumpContainers(context);
    await using opened = await openPlace(context, context.spec.dump.store, true);
    const folder = madeFolder(opened);
    await using staging = await Staging.reopen(folder, originOf(context, opened));
    return await seal(context, { containers, opened, staging, saved });
  });
}

async function nameOnly(context: DumpContext): Promise<TaskResult> {
  return await undoneOnFailure(context, undefined, async () => {
    await using opened = await openPlace(context, context.spec.dump.store, true);
    return await giveName(context, madeFolder(opened), originOf(context, opened));
  });
}

interface Finishing {
  readonly containers: HeldContainers;
  readonly opened: OpenPlace;
  readonly staging: Staging;
  readonly saved: SavedDump;
}

async function seal(
  context: DumpContext,
  { containers, opened, staging, saved }: Finishing,
): Promise<TaskResult> {
  await finishBundle(context, { containers, staging, saved, signal: opened.signal });
  return await giveName(context, madeFolder(opened), originOf(context, opened));
}

async function undoneOnFailure(
  context: DumpContext,
  containers: HeldContainers | undefined,
  work: () => Promise<TaskResult>,
): Promise<TaskResult> {
  try {
    return await work();
  } catch (error) {
    const { step } = context.journal;
    const direct = context.spec.dump.transfer !== undefined;
    const resumable = !direct && (step === 'saved' || step === 'sealing');
    if (error instanceof HandOver && resumable) {
      throw error;
    }
    // Asked before the handles are given back: a container that ended explains every other failure.
    const explained = containers?.explain(error) ?? error;
    await undoDump(context);
    if (error instanceof HandOver) {
      await context.journal.restart();
      throw error;
    }
    const hookFailure = await runPostHooks(context);
    throw withHooks(explained, context.journal.facts.hookNotes ?? [], hookFailure);
  }
}

function refusePod({ podManifest }: DumpPayload): void {
  const refusals = refusalsOfPod(podManifest);
  if (refusals[0] !== undefined) {
    throw new TaskFailure('Unsupported', refusals[0].message, { report: refusals });
  }
}

async function holdDumpContainers(context: DumpContext): Promise<HeldContainers> {
  const { pod, containers, podManifest } = context.spec.dump;
  const shared = sharesProcessNamespace(podManifest);
  return await holdContainers(context, { pod, containers, sharesProcessNamespace: shared });
}

function originOf({ tools, uid }: DumpContext, { place }: OpenPlace) {
  return { node: tools.nodeName, taskUid: uid, bundleName: place.name };
}

function madeFolder({ folder, place }: OpenPlace): Directory {
  if (folder === undefined) {
    throw new TaskFailure('StoreUnavailable', `the folder of ${place.text} vanished`);
  }
  return folder;
}

/** Anonymous memory is about what will be written; a volume without room for it is not worth a freeze. */
async function assertRoom(folder: Directory, containers: HeldContainers): Promise<void> {
  const wanted = containers.anonymousBytes;
  const free = await folder.freeBytes();
  if (free < wanted) {
    const facts = `the volume has ${free} bytes left, the pod's memory needs about ${wanted}`;
    throw new TaskFailure('StoreFull', facts);
  }
}

function interrupted(when: string): TaskFailure {
  const facts = `the agent of this node ended ${when}`;
  return new TaskFailure('AgentRestarted', facts, { retryable: true });
}
