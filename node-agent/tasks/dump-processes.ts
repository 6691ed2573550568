// The engine's part of a dump: it gets the processes and empty directories, and is watched while it holds them.
import type { Staging } from '../bundle/staging.ts';
import type { Directory } from '../bundle/directory.ts';
import { CONTAINER_FILES } from '../bundle/layout.ts';
import { storeFailure } from '../bundle/store-error.ts';
import type { FoundContainer } from '../container/find-container.ts';
import type { DumpResult, DumpTask, EngineEvent } from '../engine/protocol.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { failureOfEngine } from './engine-failure.ts';
import { EngineCrashedError, EngineFailedError } from './engine-process.ts';
import { FreezeWatch } from './freeze-watch.ts';
import type { SavedDump } from './journal.ts';
import { MOST_ROUNDS } from './cut-over.ts';
import type { PreCopyRounds } from './pre-copy-rounds.ts';
import { cleanUpSource } from './source-clean-up.ts';

/** Saves all processes into `staging`; journal: engine, saved. The application runs, or stays frozen if asked for. */
export async function saveProcesses(
  context: DumpContext,
  containers: HeldContainers,
  staging: Staging,
  { signal, rounds }: Pick<EngineWork, 'signal' | 'rounds'>,
): Promise<SavedDump> {
  await using folders = new AsyncDisposableStack();
  const images = new Map<string, Directory>();
  for (const { name } of containers.all) {
    images.set(name, folders.use(await makeImagesFolder(staging, name)));
  }
  const task = engineTask(context, containers, images);
  const saved = await runDump(context, { task, containers, signal, rounds });
  await context.journal.note('saved', { saved });
  return saved;
}

async function makeImagesFolder(staging: Staging, container: string): Promise<Directory> {
  try {
    await staging.directory.makeDirectory(container);
    await using folder = await staging.directory.directory(container);
    await folder.makeDirectory(CONTAINER_FILES.images);
    return await folder.directory(CONTAINER_FILES.images);
  } catch (error) {
    throw storeFailure(error, `making the folder of container ${container}`);
  }
}

export function engineTask(
  { spec }: DumpContext,
  containers: HeldContainers,
  images: ReadonlyMap<string, Directory>,
): DumpTask {
  const { dump } = spec;
  return {
    type: 'dump',
    trees: containers.all.map((container) => ({
      name: container.name,
      rootPid: container.process.pid,
      // By our own descriptor: neither a renamed folder nor a new holder of the same pid can redirect it.
      imagesDir: images.get(container.name)?.externalPath ?? '',
      ...freezerOf(container, dump.afterDump === 'KeepFrozen'),
    })),
    afterDump: dump.afterDump,
    freezeLimitMillis: dump.freezeLimitMillis,
    establishedSockets: dump.established === 'Keep' ? 'KeepPairs' : dump.established,
    maxGhostBytes: dump.maxEmbeddedBytes,
    maxBytes: dump.maxBytes,
    ...(dump.preCopy
      ? { preCopy: 'always' as const, rounds: { most: MOST_ROUNDS } }
      : { preCopy: 'auto' as const }),
    ...(dump.transfer && { passing: true }),
    dryRun: dump.dryRun,
  };
}

function freezerOf(
  { name, cgroup }: FoundContainer,
  needed: boolean,
): { readonly freezerFile?: string } {
  if (needed && cgroup.freezerFile === undefined) {
    const facts = `container ${name} cannot be kept frozen: this node has no freezer for it`;
    throw new TaskFailure('Unsupported', facts);
  }
  return cgroup.freezerFile === undefined || !needed ? {} : { freezerFile: cgroup.freezerFile };
}

export interface EngineWork {
  readonly task: DumpTask;
  readonly containers: HeldContainers;
  readonly signal: AbortSignal;
  /** where the task asks for them */
  readonly rounds?: PreCopyRounds | undefined;
}

/** Runs the engine. @throws TaskFailure; the application then runs (or is thawed by whoever undoes the dump) */
export async function runDump(context: DumpContext, work: EngineWork): Promise<SavedDump> {
  const { task, containers, signal, rounds } = work;
  const engine = await context.tools.engines.take();
  using _killed = engine;
  const freezerFiles = task.trees.flatMap(({ freezerFile }) => freezerFile ?? []);
  await context.journal.note('engine', { engine: engine.identity, freezerFiles });
  const tooLong = new AbortController();
  using _watch = watchFreeze(task, containers, tooLong);
  const times = new FreezeTimes();
  containers.assertAlive();
  try {
    const result = await engine.run(task, {
      signal: AbortSignal.any([signal, tooLong.signal]),
      onEvent: (event) => {
        times.take(event);
        tell(context, event);
        rounds?.take(event, (order) => engine.tell(order));
      },
    });
    return { result: result as DumpResult, ...times.times() };
  } catch (error) {
    if (!(error instanceof EngineFailedError)) await cleanUpSource(context, containers);
    throw explain(error, containers);
  }
}

/** A source that is kept frozen stands still until it is thawed: there is no limit to keep. */
function watchFreeze(
  { afterDump, freezeLimitMillis }: DumpTask,
  containers: HeldContainers,
  tooLong: AbortController,
): FreezeWatch {
  const limitMillis =
    afterDump === 'Resume' && freezeLimitMillis > 0 ? freezeLimitMillis : Number.POSITIVE_INFINITY;
  return new FreezeWatch({
    processes: containers.all.map(({ process }) => process),
    limitMillis,
    onExceeded: () => {
      const facts = `the application had stood still for more than ${limitMillis} ms; the engine was ended`;
      tooLong.abort(new TaskFailure('FreezeLimitExceeded', facts));
    },
  });
}

class FreezeTimes {
  #frozenAtMillis: number | undefined;
  #resumedAtMillis: number | undefined;

  take(event: EngineEvent): void {
    if (event.event === 'stage' && event.stage === 'frozen') {
      this.#frozenAtMillis = Date.now();
    }
    if (event.event === 'stage' && event.stage === 'thawed') {
      this.#resumedAtMillis = Date.now();
    }
  }

  times(): Pick<SavedDump, 'frozenAtMillis' | 'resumedAtMillis'> {
    return {
      frozenAtMillis: this.#frozenAtMillis ?? Date.now(),
      resumedAtMillis: this.#resumedAtMillis,
    };
  }
}

function tell({ progress }: DumpContext, event: EngineEvent): void {
  if (event.event === 'stage') {
    progress.stage(event.stage);
  } else if (event.event === 'progress') {
    progress.bytes(event.bytesDone, event.bytesTotal);
  }
}

function explain(error: unknown, { all }: HeldContainers): unknown {
  const container = all.length === 1 ? (all[0]?.name ?? '') : '';
  if (error instanceof EngineFailedError) {
    return failureOfEngine(error.failure, container, error);
  }
  if (error instanceof EngineCrashedError) {
    // Somebody killed it, the kernel for want of memory perhaps.
    return new TaskFailure('EngineFailed', messageOf(error), { cause: error, retryable: true });
  }
  return error;
}
