// manifest.json: what a bundle consists of. Its sha256 is the bundle's digest; it is written last.
import type { Report } from '../../crds/meta.ts';
import type { TaskPod } from '../../crds/node-task.ts';
import type { Requirements } from '../engine/protocol.ts';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { type Checksum, type ChecksumKind, isReadable } from './checksum.ts';
import { assertComponent } from './directory.ts';
import { sha256Hex } from './digest.ts';
import { isContainerFolder, isEmptyDirFolder } from './layout.ts';

/** Raised by every change that an older reader would misunderstand. */
export const SCHEMA_VERSION = 1;
export const BUNDLE_FORMAT = 'diapause-bundle';

export interface ManifestFile extends Checksum {
  readonly path: string;
  readonly sizeBytes: number;
}

export interface SavedEmptyDir {
  readonly volume: string;
  readonly mountPoint: string;
  /** inside the container's folder */
  readonly folder: string;
}

export interface ManifestContainer {
  readonly name: string;
  readonly imageID: string;
  readonly processes: number;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly rootfsDiffBytes: number;
  /** emptyDir volumes that were saved through this container; older bundles have none */
  readonly emptyDirs?: readonly SavedEmptyDir[];
  /** mount points that a target must have, the runtime's own ones left out */
  readonly mounts: readonly string[];
}

export interface Manifest {
  readonly format: typeof BUNDLE_FORMAT;
  readonly schemaVersion: number;
  readonly engine: { readonly name: string; readonly version: string };
  /** RFC 3339 */
  readonly createdAt: string;
  readonly owner: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly pod: TaskPod;
  readonly node: string;
  readonly containers: readonly ManifestContainer[];
  readonly requirements: Requirements;
  readonly report: readonly Report[];
  /** every file of the bundle but this one, sorted by path */
  readonly files: readonly ManifestFile[];
}

export const MAX_MANIFEST_BYTES = 64 << 20;
const MAX_FILES = 1_000_000;

export function encodeManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

/** `sha256:<hex>`, as it stands in a Checkpoint's status. */
export const manifestDigest = (text: Uint8Array | string): string => `sha256:${sha256Hex(text)}`;

export function bundleBytes(manifest: Manifest): number {
  return manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

/**
 * Reads a manifest whose digest has been compared already: it is what we (or a newer version) wrote.
 *
 * @param kind what the files must have: `gmac` only where nobody else can write
 * @throws TaskFailure BundleInvalid for another format, a newer schema or a path that leads outside
 */
export function decodeManifest(text: string, kind: ChecksumKind = 'sha256'): Manifest {
  let parsed: Partial<Manifest> | null;
  try {
    parsed = JSON.parse(text) as Partial<Manifest> | null;
  } catch (error) {
    throw invalid(`manifest.json is not JSON: ${messageOf(error)}`);
  }
  if (parsed?.format !== BUNDLE_FORMAT) {
    throw invalid('manifest.json is not that of a Diapause bundle');
  }
  if (parsed.schemaVersion !== SCHEMA_VERSION) {
    throw invalid(
      `the bundle has the schema version ${String(parsed.schemaVersion)}; this agent reads ${SCHEMA_VERSION}`,
    );
  }
  if (!Array.isArray(parsed.files) || parsed.files.length > MAX_FILES) {
    throw invalid('manifest.json lists no files, or too many');
  }
  if (!Array.isArray(parsed.containers) || parsed.requirements === undefined) {
    throw invalid('manifest.json lacks containers or requirements');
  }
  checkFiles(parsed.files, kind);
  checkContainers(parsed.containers);
  return parsed as Manifest;
}

function checkFiles(files: readonly ManifestFile[], kind: ChecksumKind): void {
  const seen = new Set<string>();
  for (const file of files) {
    const { path, sizeBytes } = file;
    if (typeof path !== 'string' || seen.has(path)) {
      throw invalid(`manifest.json lists ${String(path)} twice`);
    }
    path.split('/').forEach(assertComponent);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || !isReadable(file, kind)) {
      throw invalid(`manifest.json: size or ${kind} of ${path} is unreadable`);
    }
    seen.add(path);
  }
}

function checkContainers(containers: readonly ManifestContainer[]): void {
  for (const { name, emptyDirs = [] } of containers) {
    if (typeof name !== 'string' || !isContainerFolder(name)) {
      throw invalid(`manifest.json: ${JSON.stringify(name)} is not a container name`);
    }
    const strange = emptyDirs.find(
      ({ folder, mountPoint }) => !isEmptyDirFolder(folder) || !mountPoint.startsWith('/'),
    );
    if (strange !== undefined) {
      throw invalid(`manifest.json: ${JSON.stringify(strange)} is no emptyDir of ${name}`);
    }
  }
}

function invalid(message: string): TaskFailure {
  return new TaskFailure('BundleInvalid', message);
}
