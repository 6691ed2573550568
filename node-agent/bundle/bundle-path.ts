// Where a bundle lies on a volume, and how to get there without leaving its namespace's folder.
import { errnoOf, TaskFailure } from '../task-failure.ts';
import { assertComponent, type Directory } from './directory.ts';
import { storeFailure } from './store-error.ts';

const MAX_COMPONENTS = 16;
const MAX_PATH_BYTES = 1024;

export interface BundlePlace {
  /** folders from the volume's root; the last is the namespace's own */
  readonly folders: readonly string[];
  /** the bundle's own directory */
  readonly name: string;
  readonly text: string;
}

/**
 * Reads `<prefix>/<namespace>/<checkpoint>-<uid>`.
 *
 * @param namespace whose bundles may be touched: the last folder must bear its name
 * @throws TaskFailure BundleInvalid
 */
export function parseBundlePath(text: string, namespace: string): BundlePlace {
  const components = text.split('/');
  if (Buffer.byteLength(text) > MAX_PATH_BYTES || components.length > MAX_COMPONENTS) {
    throw new TaskFailure('BundleInvalid', `the bundle path is too long: ${text.slice(0, 80)}…`);
  }
  for (const component of components) {
    // An absolute path, `..`, an empty component.
    assertComponent(component);
  }
  const name = components.at(-1) ?? '';
  const folders = components.slice(0, -1);
  if (folders.at(-1) !== namespace) {
    const facts = `the bundle path ${text} is not inside the folder of the namespace ${namespace}`;
    throw new TaskFailure('BundleInvalid', facts);
  }
  if (name.startsWith('.')) {
    throw new TaskFailure('BundleInvalid', `the bundle name ${name} is one of our own`);
  }
  return { folders, name, text };
}

/**
 * Opens the folder of the namespace, one component at a time.
 *
 * @param create makes missing folders; without it a missing one answers undefined
 * @throws TaskFailure BundleInvalid when a component is a link, no directory, or another file system
 */
export async function openFolder(
  root: Directory,
  place: BundlePlace,
  create: boolean,
): Promise<Directory | undefined> {
  const { dev } = await root.stat();
  let current = root;
  for (const name of place.folders) {
    const next = await openOne(current, name, create);
    if (current !== root) {
      await current.close();
    }
    if (next === undefined) {
      return undefined;
    }
    if ((await next.stat()).dev !== dev) {
      await next.close();
      const facts = `${next.label} lies on another file system than the volume`;
      throw new TaskFailure('BundleInvalid', facts);
    }
    current = next;
  }
  return current;
}

/** The bundle itself, if it is there. @throws BundleInvalid when it is a link or no directory */
export async function openBundle(
  folder: Directory,
  place: BundlePlace,
): Promise<Directory | undefined> {
  return await openOne(folder, place.name, false);
}

async function openOne(
  parent: Directory,
  name: string,
  create: boolean,
): Promise<Directory | undefined> {
  try {
    if (create) {
      await makeUnlessThere(parent, name);
    }
    return await parent.directory(name);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') {
      return undefined;
    }
    if (errno === 'ELOOP' || errno === 'ENOTDIR') {
      const facts = `${parent.label}/${name} is a link or no directory`;
      throw new TaskFailure('BundleInvalid', facts, { cause: error });
    }
    throw storeFailure(error, `opening ${parent.label}/${name}`);
  }
}

async function makeUnlessThere(parent: Directory, name: string): Promise<void> {
  try {
    await parent.makeDirectory(name);
    await parent.sync();
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') {
      throw error;
    }
  }
}
