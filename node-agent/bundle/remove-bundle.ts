// Deleting a bundle: first its name goes, then its bytes, so that nobody ever sees half of one.
import { errnoOf } from '../task-failure.ts';
import type { BundlePlace } from './bundle-path.ts';
import type { Directory } from './directory.ts';
import { deletingName } from './layout.ts';
import { sweepStaging } from './staging.ts';
import { storeFailure } from './store-error.ts';
import { removeTree } from './tree.ts';

/** Removes the bundle and what unfinished attempts at it left; nothing there is fine. Can be repeated. */
export async function removeBundle(folder: Directory, place: BundlePlace): Promise<void> {
  const doomed = deletingName(place.name);
  try {
    await removeTree(folder, doomed);
    await renameUnlessGone(folder, place.name, doomed);
    await folder.sync();
    await removeTree(folder, doomed);
    await sweepStaging(folder, (origin) => origin.bundleName === place.name);
    await folder.sync();
  } catch (error) {
    throw storeFailure(error, `deleting ${folder.label}/${place.name}`);
  }
}

async function renameUnlessGone(folder: Directory, from: string, to: string): Promise<void> {
  try {
    await folder.rename(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      throw error;
    }
  }
}
