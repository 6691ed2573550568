// Which store a Checkpoint uses (pure).
import type { CheckpointStore } from '../../crds/checkpoint-store.ts';
import { ANNOTATIONS } from '../../crds/names.ts';

export function isDefaultStore(store: CheckpointStore): boolean {
  return (
    store.metadata.annotations?.[ANNOTATIONS.isDefaultStore] === 'true' &&
    store.metadata.deletionTimestamp === undefined
  );
}

/** Of several defaults the newest counts, as with storage classes; of equally old ones the first by name. */
export function defaultStore(stores: readonly CheckpointStore[]): CheckpointStore | undefined {
  return stores.filter(isDefaultStore).toSorted(newestFirst)[0];
}

/** @param stores all of the Checkpoint's namespace */
export function chooseStore(
  name: string | undefined,
  stores: readonly CheckpointStore[],
): CheckpointStore | undefined {
  return name === undefined
    ? defaultStore(stores)
    : stores.find((store) => store.metadata.name === name);
}

function newestFirst(a: CheckpointStore, b: CheckpointStore): number {
  const [older, newer] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return newer.localeCompare(older) || a.metadata.name.localeCompare(b.metadata.name);
}
