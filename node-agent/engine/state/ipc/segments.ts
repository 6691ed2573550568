// System V shared memory: the segments of a namespace with their content; shmget(2). Mappings: memory/attachments.ts.
import { type Finding, refusal } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import type { IpcShmEntry } from '../../image/messages/ipc.ts';
import type { ImageReader } from '../../image/reader.ts';
import { O, openPath } from '../../linux/file-facts.ts';
import {
  destroySegment,
  listObjects,
  lockSegment,
  makeObject,
  setOwner,
  withSegment,
} from '../../linux/sysv-ipc.ts';
import { fillSegment } from '../../memory/attachments.ts';
import type { SharedMemoryDump } from '../../memory/shared-memory.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import {
  describe,
  IPC_NS_ID,
  isDestroyed,
  isLocked,
  permissionsOf,
  tellCreator,
} from './ipc-entry.ts';

const PAGE = 4096n;

/** In the namespace, everybody stopped: content goes the way of all shared memory. */
export function collectSegments(
  sharedMemory: SharedMemoryDump,
  report: (finding: Finding) => void,
): IpcShmEntry[] {
  return listObjects('shm').flatMap((object) => {
    const { id } = object.permissions;
    const bytes = object.segmentBytes;
    const kept = withSegment(id, (address) => {
      const end = BigInt(address) + ((bytes + PAGE - 1n) & ~(PAGE - 1n));
      const link = `/proc/self/map_files/${address.toString(16)}-${end.toString(16)}`;
      return sharedMemory.keepSegment(id, openPath(link, O.RDONLY));
    });
    if (kept) return [{ desc: describe(object), size: bytes, inPagemaps: true }];
    const advice = 'shmget(SHM_HUGETLB) is not supported: let the application use ordinary pages';
    report(refusal('HugeTlb', 0, `shared memory segment ${id}`, advice));
    return [];
  });
}

export const savedSegments = (images: ImageReader): IpcShmEntry[] =>
  images.records(IMAGES.ipcShm(IPC_NS_ID));

/** In the target's namespace, before anybody attaches. */
export function makeSegments(
  saved: readonly IpcShmEntry[],
  report: (finding: Finding) => void,
): void {
  for (const { desc, size } of saved) {
    makeObject('shm', permissionsOf(desc), size);
    setOwner('shm', permissionsOf(desc));
    tellCreator('shared memory segment', desc, report);
  }
}

/** Writes the content, through a process so that its cgroup pays for the pages. */
export function fillSegments(
  saved: readonly IpcShmEntry[],
  images: ImageReader,
  through: ProcessBuilder,
): void {
  for (const { desc } of saved) {
    if (images.has(IMAGES.pagemapShmem(desc.id))) fillSegment(desc.id, images, through);
  }
}

/** In the target's namespace, when everybody has attached. */
export function finishSegments(saved: readonly IpcShmEntry[]): void {
  for (const { desc } of saved) {
    if (isLocked(desc)) lockSegment(desc.id);
    if (isDestroyed(desc)) destroySegment(desc.id);
  }
}
