// Is a bundle, byte for byte, the one that was sealed? Asked before anything is restored from it.
import { errnoOf, TaskFailure } from '../task-failure.ts';
import type { ChecksumKind } from './checksum.ts';
import { Digester, type OnBytes } from './digest.ts';
import type { Directory } from './directory.ts';
import { MANIFEST_FILE } from './layout.ts';
import {
  bundleBytes,
  decodeManifest,
  type Manifest,
  manifestDigest,
  MAX_MANIFEST_BYTES,
} from './manifest.ts';
import { storeFailure } from './store-error.ts';
import { listFiles } from './tree.ts';

export interface Verification {
  /** `sha256:<hex>` of the manifest, from the Checkpoint's status */
  readonly digest: string;
  /** default `sha256` */
  readonly checksum?: ChecksumKind;
  readonly signal: AbortSignal;
  readonly onStart?: (bytesTotal: number) => void;
  readonly onBytes?: OnBytes;
}

/**
 * Reads a bundle's manifest and compares its digest.
 *
 * @throws TaskFailure BundleMissing, BundleCorrupt, BundleInvalid
 */
export async function readManifest(
  bundle: Directory,
  digest: string,
  checksum: ChecksumKind = 'sha256',
): Promise<Manifest> {
  let text: Buffer;
  try {
    text = await bundle.readFile(MANIFEST_FILE, MAX_MANIFEST_BYTES);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw new TaskFailure('BundleCorrupt', `${bundle.label} has no ${MANIFEST_FILE}`);
    }
    throw storeFailure(error, `reading ${bundle.label}/${MANIFEST_FILE}`);
  }
  const actual = manifestDigest(text);
  if (actual !== digest) {
    const facts = `${bundle.label}/${MANIFEST_FILE}: its digest is ${actual}, not ${digest}`;
    throw new TaskFailure('BundleCorrupt', facts);
  }
  return decodeManifest(text.toString(), checksum);
}

/** {@link readManifest}, then every file against it. Files that the manifest does not know are damage too. */
export async function verifyBundle(bundle: Directory, options: Verification): Promise<Manifest> {
  const manifest = await readManifest(bundle, options.digest, options.checksum);
  try {
    await verifyFiles(bundle, manifest, options);
  } catch (error) {
    throw storeFailure(error, `reading ${bundle.label}`);
  }
  return manifest;
}

async function verifyFiles(
  bundle: Directory,
  manifest: Manifest,
  { signal, onStart, onBytes, checksum = 'sha256' }: Verification,
): Promise<void> {
  const expected = new Map(manifest.files.map((file) => [file.path, file]));
  const found = new Map((await listFiles(bundle)).map((file) => [file.path, file.sizeBytes]));
  found.delete(MANIFEST_FILE);
  for (const path of found.keys()) {
    if (!expected.has(path)) {
      throw corrupt(bundle, path, 'it is not in the manifest');
    }
  }
  // Sizes first: a truncated gigabyte is found without reading it.
  for (const { path, sizeBytes } of manifest.files) {
    const size = found.get(path);
    if (size !== sizeBytes) {
      const facts = size === undefined ? 'it is missing' : `${size} bytes instead of ${sizeBytes}`;
      throw corrupt(bundle, path, facts);
    }
  }
  onStart?.(bundleBytes(manifest));
  const digester = new Digester(signal, onBytes, checksum);
  for (const file of manifest.files) {
    const found = await digester.digest(bundle, file.path);
    if (found[checksum] !== file[checksum]) {
      const facts = `its ${checksum} is ${found[checksum]} instead of ${file[checksum]}`;
      throw corrupt(bundle, file.path, facts);
    }
  }
}

function corrupt(bundle: Directory, path: string, facts: string): TaskFailure {
  return new TaskFailure('BundleCorrupt', `${bundle.label}/${path}: ${facts}`);
}
