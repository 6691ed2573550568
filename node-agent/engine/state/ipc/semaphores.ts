// System V semaphores: sets with their values; semget(2). The kernel tells nobody of SEM_UNDO.
import type { Finding } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import type { IpcSemEntry } from '../../image/messages/ipc.ts';
import type { ImageReader } from '../../image/reader.ts';
import {
  listObjects,
  makeObject,
  semaphoreValues,
  setOwner,
  setSemaphores,
} from '../../linux/sysv-ipc.ts';
import { describe, IPC_NS_ID, permissionsOf, tellCreator } from './ipc-entry.ts';

export interface SemaphoreSet {
  readonly entry: IpcSemEntry;
  /** 16 bits each */
  readonly values: Uint8Array;
}

export function collectSemaphores(): SemaphoreSet[] {
  return listObjects('sem').map((object) => {
    const { permissions, semaphores } = object;
    const entry = { desc: describe(object), nsems: semaphores };
    return { entry, values: semaphoreValues(permissions.id, semaphores) };
  });
}

export const savedSemaphores = (images: ImageReader): SemaphoreSet[] =>
  [...images.payloads(IMAGES.ipcSem(IPC_NS_ID))].map(({ record, read }) => ({
    entry: record,
    values: read(),
  }));

export function makeSemaphores(
  saved: readonly SemaphoreSet[],
  report: (finding: Finding) => void,
): void {
  for (const { entry, values } of saved) {
    const { desc, nsems } = entry;
    makeObject('sem', permissionsOf(desc), BigInt(nsems));
    setSemaphores(desc.id, values);
    setOwner('sem', permissionsOf(desc));
    tellCreator('semaphore set', desc, report);
  }
}
