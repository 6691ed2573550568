// Everything of a collected tree but pages and descriptors, as CRIU's images.
import type { CollectedTree } from './collect.ts';
import { IMAGES } from './image/image-files.ts';
import { coreEntry } from './image/messages/core.ts';
import { fsEntry } from './image/messages/files.ts';
import { pstreeEntry, taskKobjIdsEntry } from './image/messages/inventory.ts';
import { mmEntry } from './image/messages/memory.ts';
import type { ImageWriter } from './image/writer.ts';
import type { Requirements } from './protocol.ts';
import { IPC_NS_ID } from './state/ipc/ipc-entry.ts';
import { stateKinds } from './state/kinds.ts';
import type { ProcessRecord } from './state/records.ts';

const IMAGE_VERSION = 2;
/** core_entry.mtype of x86-64 */
const MARCH_X86_64 = 1;
const ENGINE = 'diapause 0.1.0';

/** The namespaces of the dump, one id for all: a restore stays in those of whoever restores. */
const NAMESPACES = {
  pidNsId: 1,
  netNsId: 2,
  ipcNsId: IPC_NS_ID,
  utsNsId: 4,
  mntNsId: 5,
  userNsId: 6,
  cgroupNsId: 7,
  timeNsId: 8,
} as const;
/** Kernel objects of the dumper itself: equal to no task's, or a restore would share them with its caller. */
const DUMPER_OBJECT_ID = 0x7fffffff;

export interface DumpSums {
  readonly frozenMicros: number;
  readonly pagesWritten: bigint;
  readonly sharedPagesWritten: bigint;
  readonly establishedClosed: boolean;
}

export function writeState(
  tree: CollectedTree,
  images: ImageWriter,
  requirements: Requirements,
  sums: DumpSums,
): void {
  const records = tree.members.map(({ record }) => record);
  for (const kind of stateKinds) kind.complete?.(records, images);
  for (const record of records) writeProcess(record, images);
  images.append(IMAGES.inventory, {
    imgVersion: IMAGE_VERSION,
    fdinfoPerId: true,
    rootIds: {
      vmId: DUMPER_OBJECT_ID,
      filesId: DUMPER_OBJECT_ID,
      fsId: DUMPER_OBJECT_ID,
      sighandId: DUMPER_OBJECT_ID,
      ...NAMESPACES,
    },
    nsPerId: true,
    lsmtype: 0,
    ...(sums.establishedClosed ? { tcpClose: true } : {}),
    engine: ENGINE,
    requirementsJson: JSON.stringify(requirements),
    monotonicNs: BigInt(requirements.monotonicNanos),
    boottimeNs: BigInt(requirements.boottimeNanos),
  });
  images.append(IMAGES.statsDump, {
    dump: {
      freezingTime: 0,
      frozenTime: sums.frozenMicros,
      memdumpTime: 0,
      memwriteTime: 0,
      pagesScanned: sums.pagesWritten,
      pagesSkippedParent: 0n,
      pagesWritten: sums.pagesWritten,
      pagesLazy: 0n,
      shpagesWritten: sums.sharedPagesWritten,
    },
  });
}

function writeProcess(record: ProcessRecord, images: ImageWriter): void {
  const { pid, zombie } = record;
  images.append(IMAGES.pstree, pstreeEntry.complete(record.pstree));
  if (zombie) {
    images.append(IMAGES.core(pid), coreEntry.complete({ mtype: MARCH_X86_64, tc: record.task }));
    return;
  }
  images.append(IMAGES.ids(pid), taskKobjIdsEntry.complete({ ...record.ids, ...NAMESPACES }));
  images.append(IMAGES.mm(pid), mmEntry.complete(record.mm));
  images.append(IMAGES.fs(pid), fsEntry.complete(record.fs));
  images.write(IMAGES.fdinfo(record.ids.filesId ?? pid), record.fdinfo);
  record.threads.forEach(({ tid, core }, i) => {
    const task = i === 0 ? { tc: record.task } : {};
    images.append(IMAGES.core(tid), coreEntry.complete({ mtype: MARCH_X86_64, ...core, ...task }));
  });
}
