// Rewind: the part of a restore into a running pod that comes before an ordinary one. The running processes are judged while
// nothing changes, then their roots become placeholders. From there on a failure ends the containers: nobody would
// ever fill them, and the kubelet starts them anew by their restart policy.
import type { Manifest } from '../bundle/manifest.ts';
import { CONTAINER_FILES } from '../bundle/layout.ts';
import type { FoundContainer } from '../container/find-container.ts';
import type { RewindTask, RewindTree } from '../engine/protocol.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { type HeldContainers, holdContainers } from './containers.ts';
import { failureOfEngine } from './engine-failure.ts';
import { EngineCrashedError, EngineFailedError } from './engine-process.ts';
import type { JournalStep } from './journal.ts';
import { isPlaceholder } from './placeholder.ts';
import type { RestoreContext, RestoreWork } from './restore.ts';
import { rootLayers } from './root-layers.ts';
import { HandOver } from './task-context.ts';

const DRY_RUN_FREEZE_MILLIS = 1000;
/** Steps in which a container may be without its program. */
const DANGEROUS: readonly JournalStep[] = ['rewinding', 'rewound', 'engine'];

/**
 * Makes placeholders of the running containers. Committed in between, journal: rewinding, rewound.
 *
 * @throws TaskFailure; RewindFailed when the processes are gone
 */
export async function rewindProcesses(context: RestoreContext, work: RestoreWork): Promise<void> {
  const { containers } = work;
  await using folders = new AsyncDisposableStack();
  const trees: RewindTree[] = [];
  for (const container of containers.all) {
    const folder = folders.use(await work.bundle.directory(container.name));
    const images = folders.use(await folder.directory(CONTAINER_FILES.images));
    const putBack = putBackMounts(work.manifest, container, context.tools.nodeRoot);
    const { name, process } = container;
    trees.push({ name, rootPid: process.pid, imagesDir: images.externalPath, putBack });
  }
  const task = { type: 'rewind', trees } as const;
  await runEngine(context, work, {
    ...task,
    dryRun: true,
    freezeLimitMillis: DRY_RUN_FREEZE_MILLIS,
  });
  await context.commit();
  try {
    await runEngine(context, work, { ...task, dryRun: false, freezeLimitMillis: 0 });
  } catch (error) {
    throw endAfter(error, containers);
  }
  await context.journal.note('rewound');
}

async function runEngine(
  { tools, journal, progress }: RestoreContext,
  { containers, signal }: RestoreWork,
  task: RewindTask,
): Promise<void> {
  const engine = await tools.engines.take();
  using _killed = engine;
  if (!task.dryRun) {
    await journal.note('rewinding', { engine: engine.identity });
  }
  containers.assertAlive();
  try {
    await engine.run(task, {
      signal,
      onEvent: (event) => {
        if (event.event === 'stage') {
          progress.stage(event.stage);
        }
      },
    });
  } catch (error) {
    throw explain(error);
  }
}

function explain(error: unknown): unknown {
  if (error instanceof EngineFailedError) {
    return failureOfEngine(error.failure, '');
  }
  return error instanceof EngineCrashedError
    ? new TaskFailure('EngineFailed', messageOf(error), { cause: error })
    : error;
}

/**
 * Mount points of a container whose files the bundle has.
 *
 * @throws TaskFailure when it has files for a root whose own changes cannot be told
 */
export function putBackMounts(
  { files, containers }: Pick<Manifest, 'files' | 'containers'>,
  container: FoundContainer,
  nodeRoot: string,
): string[] {
  const { name, root } = container;
  const saved = containers.find((one) => one.name === name)?.emptyDirs ?? [];
  const volumes = saved.map(({ mountPoint }) => mountPoint);
  if (!files.some(({ path }) => path === `${name}/${CONTAINER_FILES.rootfsDiff}`)) {
    return volumes;
  }
  if (rootLayers(container, nodeRoot) === undefined) {
    const facts = `container ${name}: its root file system is ${root.fsType}, so files made since cannot be told from those of the image`;
    throw new TaskFailure('Unsupported', facts);
  }
  return ['/', ...volumes];
}

/**
 * What is to be told after a failure behind the point of no return. Containers that have lost their program are ended.
 *
 * @returns `error` itself when every program runs on, or when a successor takes over
 */
export function endAfter(error: unknown, containers: HeldContainers): unknown {
  if (error instanceof HandOver) {
    return error;
  }
  const lost = endLost(containers);
  if (lost.length === 0) {
    return error;
  }
  const report = error instanceof TaskFailure ? error.report : [];
  const facts = `${messageOf(error)}; container ${lost.join(', ')} has ended`;
  return new TaskFailure('RewindFailed', facts, { report, cause: error });
}

/** @returns names of the containers that have ended */
function endLost({ all }: HeldContainers): string[] {
  return all
    .filter((container) => {
      const { process: handle } = container;
      if (handle.alive && isPlaceholder(container)) {
        process.kill(handle.pid, 'SIGKILL');
        return true;
      }
      return !handle.alive;
    })
    .map(({ name }) => name);
}

/** What an agent that ended in the middle has left. @returns why the task fails */
export async function endLeftover(context: RestoreContext): Promise<TaskFailure> {
  const { restore } = context.spec;
  const facts = 'the agent of this node ended while the processes were being rebuilt';
  const restarted = new TaskFailure('AgentRestarted', facts);
  if (restore.inPlace !== true || !DANGEROUS.includes(context.journal.step)) {
    return restarted;
  }
  try {
    using containers = await holdContainers(context, restore);
    const failure = endAfter(restarted, containers);
    return failure instanceof TaskFailure ? failure : restarted;
  } catch (error) {
    const gone = `${facts}; ${messageOf(error)}`;
    return new TaskFailure('RewindFailed', gone, { cause: error });
  }
}
