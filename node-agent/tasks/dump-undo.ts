// Undoing a dump that will not be finished: the source goes on, and nothing is left on the store. Bounded: a store
// that does not answer must not keep the report from being made; its leftovers are swept by the next dump.
import {
  type BundlePlace,
  openBundle,
  openFolder,
  parseBundlePath,
} from '../bundle/bundle-path.ts';
import type { Directory } from '../bundle/directory.ts';
import { stagingName } from '../bundle/layout.ts';
import { removeBundle } from '../bundle/remove-bundle.ts';
import { removeTree } from '../bundle/tree.ts';
import { readManifest } from '../bundle/verify.ts';
import { thaw } from '../container/freezer.ts';
import { Deadline, abortable } from '../../kube/deadline.ts';
import type { DumpContext } from './dump.ts';

const CLEANUP_MILLIS = 30_000;

/** Can be repeated. Never throws. */
export async function undoDump(context: DumpContext): Promise<void> {
  thawAll(context.journal.facts.freezerFiles ?? []);
  if (context.journal.step === 'begun') {
    return;
  }
  using deadline = new Deadline(CLEANUP_MILLIS);
  try {
    await abortable(removeStaging(context, deadline.signal), deadline.signal);
  } catch {
    // The volume is gone or does not answer. Its staging directory bears our name: the next dump removes it.
  }
}

/** Lets everything frozen go on, each by itself. @returns files that could not be written */
export function thawAll(freezerFiles: readonly string[]): string[] {
  return freezerFiles.filter((file) => {
    try {
      thaw(file);
      return false;
    } catch {
      return true;
    }
  });
}

async function removeStaging(context: DumpContext, signal: AbortSignal): Promise<void> {
  const { store } = context.spec.dump;
  if (store === undefined) {
    await context.tools.localSpace.remove(context.uid);
    return;
  }
  const place = parseBundlePath(store.bundlePath, context.spec.owner.namespace);
  await using session = await context.tools.openStore(store, signal);
  await using folder = await openFolder(session.root, place, false);
  if (folder !== undefined) {
    await removeTree(folder, stagingName(context.uid));
    await removeNamed(context, folder, place);
    await folder.sync();
  }
}

/** The last step may have failed after the bundle had got its name. Only what we sealed is removed. */
async function removeNamed(
  { journal }: DumpContext,
  folder: Directory,
  place: BundlePlace,
): Promise<void> {
  const { sealed } = journal.facts;
  await using bundle = sealed === undefined ? undefined : await openBundle(folder, place);
  if (sealed !== undefined && bundle !== undefined) {
    await readManifest(bundle, sealed.digest);
    await removeBundle(folder, place);
  }
}
