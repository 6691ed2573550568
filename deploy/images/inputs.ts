// What the images are made from, as one digest: as long as it stays the same, so do they.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** Places in the checkout that something in the project's images comes from; the lock file stands for all of node_modules. */
const SOURCES = [
  'crds',
  'kube',
  'src',
  'node-agent',
  'shim',
  'deploy/images',
  'deploy/demo/apps',
  'package-lock.json',
];
/** Debian packages are chosen from these indexes. */
const APT_LISTS = '/var/lib/apt/lists';

export function inputsDigest(checkout: string, sources: readonly string[] = SOURCES): string {
  const hash = createHash('sha256').update(process.version);
  for (const source of sources) {
    for (const file of filesBelow(join(checkout, source))) {
      hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
    }
  }
  for (const file of filesBelow(APT_LISTS)) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\0`);
  }
  return hash.digest('hex');
}

function filesBelow(path: string): readonly string[] {
  if (!existsSync(path)) {
    return [];
  }
  if (!statSync(path).isDirectory()) {
    return [path];
  }
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
