// Everything of System V in the IPC namespace of a tree: collected once, made again before anybody attaches to it.
import { type Finding, refusal } from '../../finding.ts';
import { IMAGES } from '../../image/image-files.ts';
import type { ImageReader } from '../../image/reader.ts';
import type { ImageWriter } from '../../image/writer.ts';
import { inIpcOf, ipcNamespaceOf, ownIpcNamespace } from '../../linux/ipc-namespace.ts';
import { canChooseIds, removeLike } from '../../linux/sysv-ipc.ts';
import type { SharedMemoryDump } from '../../memory/shared-memory.ts';
import type { SourceTree } from '../../protocol.ts';
import type { ProcessBuilder } from '../../restore/builder.ts';
import { IPC_NS_ID, permissionsOf } from './ipc-entry.ts';
import { collectQueues, makeQueues, savedQueues, writeQueues } from './message-queues.ts';
import {
  collectSegments,
  fillSegments,
  finishSegments,
  makeSegments,
  savedSegments,
} from './segments.ts';
import { collectSemaphores, makeSemaphores, savedSemaphores } from './semaphores.ts';

type Report = (finding: Finding) => void;

/** Objects of the engine's own namespace belong to others as well, and stay where they are. */
export const hasOwnIpc = (rootPid: number): boolean =>
  ipcNamespaceOf(rootPid) !== ownIpcNamespace();

/** Of the trees that share a namespace the first one saves it. */
export function savesIpc({ rootPid }: SourceTree, trees: readonly SourceTree[]): boolean {
  if (!hasOwnIpc(rootPid)) return false;
  const namespace = ipcNamespaceOf(rootPid);
  return trees.find((tree) => ipcNamespaceOf(tree.rootPid) === namespace)?.rootPid === rootPid;
}

export interface CollectedIpc {
  /** ipcns-{shm,sem,msg}-NSID.img */
  save(images: ImageWriter): void;
}

/** In the freeze. */
export function collectIpc(
  rootPid: number,
  sharedMemory: SharedMemoryDump,
  report: Report,
): CollectedIpc {
  return inIpcOf(rootPid, () => {
    const segments = collectSegments(sharedMemory, report);
    const sets = collectSemaphores();
    const queues = collectQueues();
    return {
      save: (images) => {
        images.write(IMAGES.ipcShm(IPC_NS_ID), segments);
        for (const { entry, values } of sets) {
          images.append(IMAGES.ipcSem(IPC_NS_ID), entry, values);
        }
        writeQueues(queues, images);
      },
    };
  });
}

/** What was saved of a namespace, and its way back. */
export class IpcRestore {
  readonly #images: ImageReader;
  readonly #segments;
  readonly #sets;
  readonly #queues;

  /** @throws ImageError */
  constructor(images: ImageReader) {
    this.#images = images;
    this.#segments = savedSegments(images);
    this.#sets = savedSemaphores(images);
    this.#queues = savedQueues(images);
  }

  get #empty(): boolean {
    return [this.#segments, this.#sets, this.#queues].every((objects) => objects.length === 0);
  }

  /** @param pid process in whose namespace they are to be; without it the engine's own is meant */
  check(pid = process.pid): Finding[] {
    if (this.#empty || inIpcOf(pid, canChooseIds)) return [];
    const advice = 'the kernel of the target needs CONFIG_CHECKPOINT_RESTORE';
    return [refusal('KernelLacksIpcIds', 0, 'System V IPC', advice)];
  }

  make(pid: number, report: Report): void {
    if (this.#empty) return;
    inIpcOf(pid, () => {
      makeSegments(this.#segments, report);
      makeSemaphores(this.#sets, report);
      makeQueues(this.#queues, report);
    });
  }

  /** Takes back what {@link make} made, after a failure. */
  remove(pid: number): void {
    if (this.#empty) return;
    inIpcOf(pid, () => {
      for (const { desc } of this.#segments) removeLike('shm', permissionsOf(desc));
      for (const { entry } of this.#sets) removeLike('sem', permissionsOf(entry.desc));
      for (const { entry } of this.#queues) removeLike('msg', permissionsOf(entry.desc));
    });
  }

  fill(through: ProcessBuilder): void {
    fillSegments(this.#segments, this.#images, through);
  }

  /** When every process of every tree is attached. */
  finish(pid: number): void {
    if (this.#segments.length > 0) inIpcOf(pid, () => finishSegments(this.#segments));
  }
}
