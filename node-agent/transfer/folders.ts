// The folder of a file of a bundle, entered one name at a time so that no link is followed.
import type { Directory } from '../bundle/directory.ts';
import { errnoOf } from '../task-failure.ts';

/** @returns the root itself for a file without a folder; give it to {@link leave} */
export async function enter(
  root: Directory,
  names: readonly string[],
  { make = false }: { readonly make?: boolean } = {},
): Promise<Directory> {
  let folder = root;
  for (const name of names) {
    const parent = folder;
    try {
      if (make) {
        await makeFolder(parent, name);
      }
      folder = await parent.directory(name);
    } finally {
      await leave(parent, root);
    }
  }
  return folder;
}

export async function leave(folder: Directory, root: Directory): Promise<void> {
  if (folder !== root) {
    await folder.close();
  }
}

async function makeFolder(parent: Directory, name: string): Promise<void> {
  try {
    await parent.makeDirectory(name);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') {
      throw error;
    }
  }
}
