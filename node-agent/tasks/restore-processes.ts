// The engine's part of a restore: it gets the placeholders and the verified images.
import type { ContainerResult, TaskResult } from '../../crds/node-task.ts';
import { CONTAINER_FILES } from '../bundle/layout.ts';
import type { EngineEvent, RestoreResult, RestoreTree } from '../engine/protocol.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { reportOfDump } from './dump-report.ts';
import { failureOfEngine } from './engine-failure.ts';
import { EngineCrashedError, EngineFailedError } from './engine-process.ts';
import type { Compared } from './hooks/after-restore.ts';
import type { RestoreContext, RestoreWork } from './restore.ts';

export interface Rebuilt {
  readonly result: TaskResult;
  readonly compared: Omit<Compared, 'bundleDigest'>;
}

/** Committed first, journal: engine. @throws TaskFailure; half-built processes have ended with the engine */
export async function rebuildProcesses(
  context: RestoreContext,
  work: RestoreWork,
): Promise<Rebuilt> {
  const { containers, bundle, signal } = work;
  await using folders = new AsyncDisposableStack();
  const trees: RestoreTree[] = [];
  for (const { name, process } of containers.all) {
    const folder = folders.use(await bundle.directory(name));
    const images = folders.use(await folder.directory(CONTAINER_FILES.images));
    const rewound = context.spec.restore.inPlace === true && { rewound: true };
    trees.push({
      name,
      imagesDir: images.externalPath,
      placeholderPid: process.pid,
      ...rewound,
    });
  }
  const engine = await context.tools.engines.take();
  using _killed = engine;
  // A rewind has asked already, before the running processes were ended.
  if (context.journal.step !== 'rewound') {
    await context.commit();
  }
  await context.journal.note('engine', { engine: engine.identity });
  containers.assertAlive();
  let releasedAtMillis: number | undefined;
  const onEvent = (event: EngineEvent): void => {
    if (event.event === 'stage' && event.stage === 'released') {
      releasedAtMillis = Date.now();
    }
    tell(context, event);
  };
  try {
    const task = { type: 'restore', trees, leaveStopped: false } as const;
    const result = (await engine.run(task, { signal, onEvent })) as RestoreResult;
    const resumedAt = new Date(releasedAtMillis ?? Date.now()).toISOString();
    const { trees: built, comparedPages, savedPages } = result;
    const processes = built.reduce((sum, tree) => sum + tree.processes, 0);
    return {
      result: { ...taskResult(result, work), resumedAt },
      compared: { processes, comparedPages, savedPages },
    };
  } catch (error) {
    throw explain(error);
  }
}

function tell({ progress }: RestoreContext, event: EngineEvent): void {
  if (event.event === 'stage') {
    progress.stage(event.stage);
  } else if (event.event === 'progress') {
    progress.bytes(event.bytesDone, event.bytesTotal);
  }
}

function taskResult(result: RestoreResult, { containers, manifest }: RestoreWork): TaskResult {
  const names = containers.all.map(({ name }) => name);
  return {
    containers: result.trees.map(({ name, processes, threads, memoryBytes }): ContainerResult => {
      const saved = manifest.containers.find((container) => container.name === name);
      return {
        name,
        processes,
        threads,
        memoryBytes,
        rootfsDiffBytes: saved?.rootfsDiffBytes ?? 0,
      };
    }),
    restoreMillis: result.restoreMillis,
    report: reportOfDump(names, result.findings),
  };
}

function explain(error: unknown): unknown {
  if (error instanceof EngineFailedError) {
    return failureOfEngine(error.failure, '', error);
  }
  return error instanceof EngineCrashedError
    ? new TaskFailure('EngineFailed', messageOf(error), { cause: error })
    : error;
}
