// Content of emptyDir volumes: saved once each, through a container that has it mounted, and put back before the
// processes that have files open there are rebuilt.
import type { Report } from '../../crds/meta.ts';
import type { DumpPayload } from '../../crds/node-task.ts';
import { INIT_VOLUME } from '../../crds/names.ts';
import type { Directory } from '../bundle/directory.ts';
import { CONTAINER_FILES, emptyDirFolder } from '../bundle/layout.ts';
import type { ManifestContainer, SavedEmptyDir } from '../bundle/manifest.ts';
import { storeFailure } from '../bundle/store-error.ts';
import type { FoundContainer } from '../container/find-container.ts';
import { errnoOf } from '../task-failure.ts';
import type { HeldContainers } from './containers.ts';
import type { DumpContext } from './dump.ts';
import { reportOf } from './engine-failure.ts';
import type { RestoreContext, RestoreWork } from './restore.ts';

/** The parts of a core/v1 Pod that matter here. */
interface PodManifest {
  readonly spec?: {
    readonly volumes?: readonly PodVolume[];
    readonly containers?: readonly MountingContainer[];
    readonly initContainers?: readonly MountingContainer[];
  };
}

interface PodVolume {
  readonly name: string;
  readonly emptyDir?: object | null;
  readonly ephemeral?: object | null;
}

interface MountingContainer {
  readonly name: string;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

/** Where an emptyDir is seen, by one container. */
export interface EmptyDirMount {
  readonly container: string;
  readonly volume: string;
  readonly mountPoint: string;
}

type Seen = Pick<FoundContainer, 'name' | 'mounts'>;

/**
 * Each emptyDir of the pod that a container has mounted, once; parts of one by subPath each by itself (pure).
 *
 * @returns also what is mounted at a path that the node does not show, through a link of the image perhaps
 */
export function emptyDirMounts(
  manifest: unknown,
  containers: readonly Seen[],
): { readonly mounts: readonly EmptyDirMount[]; readonly report: readonly Report[] } {
  const { volumes = [], ...spec } = (manifest as PodManifest | null)?.spec ?? {};
  const names = new Set(volumes.filter(isEmptyDir).map(({ name }) => name));
  const mounting = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const found = new Map<string, EmptyDirMount>();
  const report: Report[] = [];
  for (const { name: container, mounts } of containers) {
    const { volumeMounts = [] } = mounting.find(({ name }) => name === container) ?? {};
    for (const { name: volume, mountPath } of volumeMounts.filter((m) => names.has(m.name))) {
      const mountPoint = mountPath.replace(/(?<=.)\/+$/, '');
      const mount = mounts.findLast((one) => one.mountPoint === mountPoint);
      if (mount === undefined) {
        report.push(notSaved(container, volume, mountPath));
        continue;
      }
      const key = `${mount.device} ${mount.root}`;
      found.set(key, found.get(key) ?? { container, volume, mountPoint });
    }
  }
  return { mounts: [...found.values()], report };
}

function isEmptyDir(volume: PodVolume): boolean {
  return volume.name !== INIT_VOLUME && volume.emptyDir !== undefined;
}

function notSaved(container: string, volume: string, mountPath: string): Report {
  const message = `emptyDir ${volume} is not mounted at ${mountPath} but somewhere else, through a link; its content is not saved: mount it at a path without links`;
  return { severity: 'loss', code: 'EmptyDirNotFound', container, pid: 0, message };
}

/** What of the pod's volumes a bundle does not have, and a new pod will not find (pure). */
export function volumeLosses(
  { podManifest, emptyDirs = 'Content' }: Pick<DumpPayload, 'podManifest' | 'emptyDirs'>,
  containers: readonly Seen[],
): readonly Report[] {
  const { volumes = [], ...spec } = (podManifest as PodManifest | null)?.spec ?? {};
  const saved = new Set(containers.map(({ name }) => name));
  const mounting = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
  const mounted = new Set(
    mounting
      .filter(({ name }) => saved.has(name))
      .flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)),
  );
  const ephemeral = volumes.filter((one) => one.ephemeral !== undefined && mounted.has(one.name));
  return [
    ...ephemeral.map(({ name }) => ephemeralLoss(name)),
    ...(emptyDirs === 'None' ? [] : emptyDirMounts(podManifest, containers).report),
  ];
}

function ephemeralLoss(volume: string): Report {
  const message = `the ephemeral volume ${volume} belongs to this pod alone; its content is not saved, a new pod gets an empty one: keep what must survive in a claim`;
  return { severity: 'loss', code: 'EphemeralVolume', container: '', pid: 0, message };
}

export interface SavedEmptyDirs {
  readonly bytes: number;
  readonly report: readonly Report[];
  /** by container */
  readonly saved: ReadonlyMap<string, readonly SavedEmptyDir[]>;
}

export interface SaveRequest {
  readonly containers: HeldContainers;
  /** of the bundle; the containers' folders are there */
  readonly directory: Directory;
  readonly frozenAtMillis: number;
  /** bytes of the bundle without these */
  readonly bytes: number;
  readonly signal: AbortSignal;
}

export async function saveEmptyDirs(
  { spec, tools, progress }: DumpContext,
  { containers, directory, frozenAtMillis, bytes, signal }: SaveRequest,
): Promise<SavedEmptyDirs> {
  const { emptyDirs = 'Content', podManifest, maxBytes } = spec.dump;
  const mounts = emptyDirs === 'None' ? [] : emptyDirMounts(podManifest, containers.all).mounts;
  const saved = new Map<string, SavedEmptyDir[]>();
  const told = [...volumeLosses(spec.dump, containers.all)];
  let written = 0;
  for (const { container, volume, mountPoint } of mounts) {
    const ofContainer = saved.get(container) ?? [];
    const folder = emptyDirFolder(ofContainer.length);
    await using place = await madeFolder(directory, container, folder);
    const left = maxBytes === 0 ? 0 : Math.max(maxBytes - bytes - written, 1);
    const held = containers.all.find(({ name }) => name === container);
    const result = await tools.rootfs.run(
      {
        type: 'collect-volume',
        mountNamespace: held?.process.externalPath('ns/mnt') ?? '',
        mountPoint,
        outputDirectory: place.externalPath,
        frozenAtMillis,
        maxBytes: left,
      },
      { signal, onBytes: (done) => progress.bytes(done) },
    );
    written += result.bytes;
    told.push(...reportOf(result.findings, container));
    saved.set(container, [...ofContainer, { volume, mountPoint, folder }]);
  }
  return { bytes: written, report: told, saved };
}

/** Empty, whatever a crash has left in it. */
async function madeFolder(
  directory: Directory,
  container: string,
  name: string,
): Promise<Directory> {
  try {
    await using parent = await directory.directory(container);
    await parent.makeDirectory(name).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') {
        throw error;
      }
    });
    const folder = await parent.directory(name);
    await folder.removeFile(CONTAINER_FILES.rootfsDiff);
    await folder.removeFile(CONTAINER_FILES.deleted);
    return folder;
  } catch (error) {
    throw storeFailure(error, `making the folder of an emptyDir of container ${container}`);
  }
}

/** Into the volumes of the new pod, at the places where the saved containers had them. */
export async function restoreEmptyDirs(
  { tools, progress, spec }: RestoreContext,
  { containers, bundle, manifest, signal }: RestoreWork,
): Promise<readonly Report[]> {
  const report: Report[] = [];
  for (const { name, process } of containers.all) {
    for (const { folder, mountPoint } of emptyDirsOf(manifest.containers, name)) {
      await using parent = await bundle.directory(name);
      await using place = await parent.directory(folder);
      const { findings } = await tools.rootfs.run(
        {
          type: 'apply',
          mountNamespace: process.externalPath('ns/mnt'),
          mountPoint,
          inputDirectory: place.externalPath,
          // A new pod's volume holds at most what containers that were not saved have put there.
          clear: spec.restore.inPlace === true,
          protect: [],
        },
        { signal, onBytes: (bytes) => progress.bytes(bytes) },
      );
      report.push(...reportOf(findings, name));
    }
  }
  return report;
}

function emptyDirsOf(
  containers: readonly ManifestContainer[],
  name: string,
): readonly SavedEmptyDir[] {
  return containers.find((container) => container.name === name)?.emptyDirs ?? [];
}
