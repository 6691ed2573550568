// From saved images to a named bundle: changed files, small files, digests, manifest, name. All of it can be done
// again by a later agent.
import type { Report } from '../../crds/meta.ts';
import type { ContainerResult, TaskResult } from '../../crds/node-task.ts';
import { INIT_MOUNT_PATH } from '../../crds/names.ts';
import type { Directory } from '../bundle/directory.ts';
import { CONTAINER_FILES, MANIFEST_FILE, POD_FILE, POD_OPTIONS_FILE } from '../bundle/layout.ts';
import type { Manifest, ManifestContainer, ManifestFile } from '../bundle/manifest.ts';
import { writeMetadata } from '../bundle/metadata.ts';
import { type Origin, Staging } from '../bundle/staging.ts';
import { storeFailure } from '../bundle/store-error.ts';
import { readManifest } from '../bundle/verify.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { applicationMounts } from '../container/mounts.ts';
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { byteCounter } from './byte-counter.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { reportOfDump, requirementsOf, shortReport } from './dump-report.ts';
import { type SavedEmptyDirs, saveEmptyDirs } from './empty-dirs.ts';
import { reportOf } from './engine-failure.ts';
import type { SavedDump } from './journal.ts';
import { rootLayers } from './root-layers.ts';
import type { Progress } from './task-context.ts';

const MAX_STATS_BYTES = 1 << 20;

export interface Finishing {
  readonly containers: HeldContainers;
  readonly staging: Staging;
  readonly saved: SavedDump;
  readonly signal: AbortSignal;
  /** takes the digests in another way than by reading everything back */
  readonly digests?: (bytesTotal: number) => Promise<ManifestFile[]>;
}

interface SavedFiles {
  readonly bytes: number;
  readonly report: readonly Report[];
}

/** Completes the staging directory up to and including the manifest. Journal: sealing. */
export async function finishBundle(context: DumpContext, work: Finishing): Promise<void> {
  const { containers, staging, saved, signal } = work;
  const { progress, journal, spec } = context;
  await staging.directory.removeFile(MANIFEST_FILE);
  progress.stage('saving-files');
  const files = new Map<string, SavedFiles>();
  for (const container of containers.all) {
    files.set(container.name, await saveFiles(context, container, work));
  }
  const bytes = saved.result.bytes + sum([...files.values()].map((one) => one.bytes));
  const { directory } = staging;
  const { frozenAtMillis } = saved;
  const request = { containers, directory, frozenAtMillis, bytes, signal };
  const emptyDirs = await saveEmptyDirs(context, request);
  await writePodFiles(context, staging.directory, containers);
  const bytesTotal = bytes + emptyDirs.bytes;
  const take = work.digests ?? ((total: number) => readBack(progress, staging, total, signal));
  const manifest = makeManifest(context, work, { files, emptyDirs }, await take(bytesTotal));
  const sealed = await staging.writeManifest(manifest);
  const { result } = saved;
  await journal.note('sealing', {
    sealed,
    result: {
      containers: manifest.containers.map(resultOf),
      freezeMillis: result.freezeMillis,
      frozenAt: new Date(saved.frozenAtMillis).toISOString(),
      ...(saved.resumedAtMillis !== undefined && {
        resumedAt: new Date(saved.resumedAtMillis).toISOString(),
      }),
      bundleBytes: sealed.bytes,
      bundleDigest: sealed.digest,
      requirements: { ...requirementsOf(result), mounts: requiredMounts(manifest) },
      report: shortReport([...manifest.report, ...(journal.facts.hookNotes ?? [])]),
    },
  });
  signal.throwIfAborted();
  if (spec.dump.maxBytes > 0 && sealed.bytes > spec.dump.maxBytes) {
    const facts = `the bundle has ${sealed.bytes} bytes, more than the ${spec.dump.maxBytes} allowed`;
    throw new TaskFailure('BudgetExceeded', facts);
  }
}

async function readBack(
  progress: Progress,
  staging: Staging,
  bytesTotal: number,
  signal: AbortSignal,
): Promise<ManifestFile[]> {
  const counter = byteCounter(progress, 'sealing');
  counter.onStart(bytesTotal);
  return await staging.digests(signal, counter.onBytes);
}

/**
 * Gives the finished bundle its name, also after a crash in the middle of just that.
 *
 * @throws TaskFailure BundleCorrupt when what lies there is not what was sealed
 */
export async function giveName(
  { journal }: DumpContext,
  folder: Directory,
  origin: Origin,
): Promise<TaskResult> {
  const { sealed, result } = journal.facts;
  if (sealed === undefined || result === undefined) {
    throw new TaskFailure('AgentRestarted', 'the journal does not know the sealed bundle', {
      retryable: true,
    });
  }
  const staging = await reopenUnlessNamed(folder, origin);
  if (staging === undefined) {
    await using bundle = await folder.directory(origin.bundleName);
    await readManifest(bundle, sealed.digest);
    return result;
  }
  await using _closed = staging;
  await readManifest(staging.directory, sealed.digest);
  await staging.seal();
  return result;
}

async function reopenUnlessNamed(folder: Directory, origin: Origin): Promise<Staging | undefined> {
  try {
    return await Staging.reopen(folder, origin);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && (await folder.find(origin.bundleName)) !== undefined) {
      return undefined;
    }
    throw storeFailure(error, 'opening the finished bundle');
  }
}

async function saveFiles(
  context: DumpContext,
  container: FoundContainer,
  { staging, saved, signal }: Finishing,
): Promise<SavedFiles> {
  const { tools } = context;
  await using folder = await staging.directory.directory(container.name);
  const files = await saveRootfsDiff(context, container, folder, { saved, signal });
  try {
    const { frozenAtMillis } = saved;
    await writeMetadata(folder, container, { frozenAtMillis, nodeRoot: tools.nodeRoot });
    await copyStats(folder);
  } catch (error) {
    throw storeFailure(error, `writing the description of container ${container.name}`);
  }
  return files;
}

async function saveRootfsDiff(
  { spec, tools, progress }: DumpContext,
  container: FoundContainer,
  folder: Directory,
  { saved, signal }: Pick<Finishing, 'saved' | 'signal'>,
): Promise<SavedFiles> {
  // Of an attempt that a crash cut short.
  await folder.removeFile(CONTAINER_FILES.rootfsDiff);
  await folder.removeFile(CONTAINER_FILES.deleted);
  const layers = rootLayers(container, tools.nodeRoot);
  if (spec.dump.rootfsDiff === 'None') {
    return { bytes: 0, report: [] };
  }
  if (layers === undefined) {
    return { bytes: 0, report: [rootfsNotOverlay(container.name, container.root.fsType)] };
  }
  const { maxBytes } = spec.dump;
  const result = await tools.rootfs.run(
    {
      type: 'collect',
      ...layers,
      mountNamespace: container.process.externalPath('ns/mnt'),
      outputDirectory: folder.externalPath,
      frozenAtMillis: saved.frozenAtMillis,
      maxBytes: maxBytes === 0 ? 0 : Math.max(maxBytes - saved.result.bytes, 1),
    },
    { signal, onBytes: (bytes) => progress.bytes(bytes) },
  );
  return { bytes: result.bytes, report: reportOf(result.findings, container.name) };
}

function rootfsNotOverlay(container: string, fsType: string): Report {
  const message = `its root file system is ${fsType}, so changed files cannot be told from those of the image; keep what must survive in a volume`;
  return { severity: 'loss', code: 'RootfsNotOverlay', container, pid: 0, message };
}

/** checkpointctl wants the engine's statistics at the root of a container's archive. */
async function copyStats(folder: Directory): Promise<void> {
  await using images = await folder.directory(CONTAINER_FILES.images);
  if ((await images.find(CONTAINER_FILES.stats)) !== undefined) {
    const stats = await images.readFile(CONTAINER_FILES.stats, MAX_STATS_BYTES);
    await folder.writeFile(CONTAINER_FILES.stats, stats);
  }
}

async function writePodFiles(
  { spec }: DumpContext,
  directory: Directory,
  containers: HeldContainers,
): Promise<void> {
  const names = containers.all.map(({ name }) => [name, name] as const);
  const options = { version: 1, containers: Object.fromEntries(names), annotations: {} };
  try {
    await directory.writeFile(POD_FILE, JSON.stringify(spec.dump.podManifest));
    await directory.writeFile(POD_OPTIONS_FILE, JSON.stringify(options));
  } catch (error) {
    throw storeFailure(error, `writing ${POD_FILE}`);
  }
}

interface AllFiles {
  readonly files: ReadonlyMap<string, SavedFiles>;
  readonly emptyDirs: SavedEmptyDirs;
}

function makeManifest(
  { spec, tools }: DumpContext,
  { containers, saved }: Finishing,
  { files, emptyDirs }: AllFiles,
  digests: readonly ManifestFile[],
): Manifest {
  const { kind: _, ...owner } = spec.owner;
  const { result } = saved;
  const names = containers.all.map(({ name }) => name);
  const ofFiles = [...files.values(), emptyDirs].flatMap(({ report }) => report);
  return {
    format: 'diapause-bundle',
    schemaVersion: 1,
    engine: { name: 'diapause', version: tools.version },
    createdAt: new Date().toISOString(),
    owner,
    pod: spec.dump.pod,
    node: tools.nodeName,
    containers: containers.all.map((container): ManifestContainer => {
      const { name, imageID, mounts } = container;
      const rootfsDiffBytes = files.get(name)?.bytes ?? 0;
      return {
        ...countsOf(saved, name),
        imageID,
        rootfsDiffBytes,
        emptyDirs: emptyDirs.saved.get(name) ?? [],
        mounts: applicationMounts(mounts, [INIT_MOUNT_PATH]),
      };
    }),
    requirements: result.requirements,
    report: [...reportOfDump(names, result.findings), ...ofFiles],
    files: digests,
  };
}

function resultOf({ name, processes, threads, memoryBytes, rootfsDiffBytes }: ManifestContainer) {
  return { name, processes, threads, memoryBytes, rootfsDiffBytes };
}

function countsOf({ result }: SavedDump, name: string): Omit<ContainerResult, 'rootfsDiffBytes'> {
  const tree = result.trees.find((report) => report.name === name);
  if (tree === undefined) {
    throw new TaskFailure('EngineFailed', `the engine did not report on container ${name}`);
  }
  const { processes, threads, memoryBytes } = tree;
  return { name, processes, threads, memoryBytes };
}

function requiredMounts({ containers }: Manifest): string[] {
  return [...new Set(containers.flatMap(({ mounts }) => mounts))].sort();
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
