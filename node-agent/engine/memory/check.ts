// What stands against rebuilding the memory of a saved tree here, told before the first change.
import { USER_SPACE_END } from '../arch/x86-64.ts';
import { type Finding, refusal } from '../finding.ts';
import { ImageError } from '../image/image-error.ts';
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { closeFd } from '../linux/descriptors.ts';
import { IPC_NS_ID } from '../state/ipc/ipc-entry.ts';
import type { SavedTree } from '../state/records.ts';
import { sizeOf } from './address-space.ts';
import { checkRings } from './aio-ring.ts';
import { lackOfHugePages } from './huge-page-demand.ts';
import { kernelSetsMmFields } from './mm-fields.ts';
import type { PageSets } from './page-set.ts';
import { kindOf, onlyArea } from './saved-areas.ts';
import {
  bytesOf,
  openPages,
  PAGE,
  readPagemap,
  savedBytes,
  type SavedPages,
} from './saved-pages.ts';
import { fitsSaved, ownVdso } from './vdso.ts';

export interface CheckedMemory {
  /** of all pages, shared memory included */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

export interface KnownMemory {
  readonly pages: PageSets;
  /** processes whose vDSO is known to be the one here */
  readonly sameVdso: ReadonlySet<number>;
}

/**
 * Judges the memory of every process and every shared object.
 *
 * @throws ImageError for images that contradict themselves
 */
export function checkMemory(
  tree: SavedTree,
  images: ImageReader,
  { pages: pageSets, sameVdso }: KnownMemory,
): CheckedMemory {
  const findings: Finding[] = [];
  const own = ownVdso();
  let bytes = 0;
  for (const { pid, mm, zombie } of tree.processes) {
    if (zombie) continue;
    if (!mm) throw new ImageError({ file: IMAGES.mm(pid).file, reason: 'is missing' });
    demandSaneAreas(pid, mm);
    findings.push(...unsupportedAreas(pid, mm));
    const pages = pageSets.pagesOf(pid);
    bytes += demandPages(pages);
    findings.push(...checkRings(pid, mm, (area) => savedBytes(area, pages.runs)));
    if (!sameVdso.has(pid)) findings.push(...checkVdso(pid, mm, own, () => savedVdso(mm, pages)));
  }
  for (const { shmid } of images.records(IMAGES.memfd)) {
    const image = IMAGES.pagemapShmem(shmid);
    if (images.has(image)) bytes += demandPages(readPagemap(images, image));
  }
  for (const { desc, size } of images.records(IMAGES.ipcShm(IPC_NS_ID))) {
    const image = IMAGES.pagemapShmem(desc.id);
    if (!images.has(image)) continue;
    const pages = readPagemap(images, image);
    bytes += demandPages(pages);
    const last = pages.runs.at(-1)?.end ?? 0n;
    if (last - size >= PAGE) {
      throw new ImageError({ file: image.file, reason: 'reaches beyond its segment' });
    }
  }
  findings.push(...lackOfHugePages(tree, images));
  if (!kernelSetsMmFields()) findings.push(noMmFields());
  return { bytes, findings };
}

/** An image may come from anywhere: what is mapped by it must lie in user space, in order. */
function demandSaneAreas(pid: number, { vmas }: MmEntry): void {
  let last = 0n;
  vmas.forEach((area, record) => {
    const kind = kindOf(area);
    if (kind === 'guard' || kind === 'vsyscall') return;
    const aligned = area.start % PAGE === 0n && area.end % PAGE === 0n;
    if (!aligned || area.start < last || area.end <= area.start || area.end > USER_SPACE_END) {
      const reason = `area ${record} (0x${area.start.toString(16)}) is out of order`;
      throw new ImageError({ file: IMAGES.mm(pid).file, reason });
    }
    last = area.end;
  });
}

function unsupportedAreas(pid: number, { vmas }: MmEntry): Finding[] {
  return vmas
    .filter((area) => kindOf(area) === 'unsupported')
    .map((area) =>
      refusal(
        'MappingUnsupported',
        pid,
        describe(area),
        'this kind of memory cannot be restored yet; restore the images with criu',
      ),
    );
}

const describe = ({ start, end, status }: VmaEntry): string =>
  `${start.toString(16)}-${end.toString(16)} status 0x${status.toString(16)}`;

/** @returns bytes of all runs. @throws ImageError when pages are missing */
function demandPages({ runs, sources }: SavedPages): number {
  for (const source of sources) {
    const opened = openPages(source);
    closeFd(opened.fd);
    if (opened.bytes < source.bytes) {
      const reason = `has ${opened.bytes} of ${source.bytes} bytes`;
      throw new ImageError({ file: source.file, reason });
    }
  }
  return bytesOf(runs);
}

const noMmFields = (): Finding =>
  refusal(
    'KernelLacksMmMap',
    0,
    'prctl(PR_SET_MM_MAP)',
    'the kernel of the target needs CONFIG_CHECKPOINT_RESTORE',
  );

/** The program keeps addresses inside the vDSO, so that the one here must be the same, byte for byte. */
function checkVdso(
  pid: number,
  mm: MmEntry,
  own: ReturnType<typeof ownVdso>,
  bytesOf: () => Buffer,
): Finding[] {
  const saved = onlyArea(mm, 'vdso');
  if (!saved) return [];
  const advice = 'restore on a node with the same kernel build as the source';
  if (!own || !fitsSaved(own.vdso, mm)) {
    const object = `vDSO of ${sizeOf(saved)} bytes, here ${own?.bytes.length ?? 0}`;
    return [refusal('VdsoDiffers', pid, object, advice)];
  }
  if (bytesOf().equals(own.bytes)) return [];
  return [refusal('VdsoDiffers', pid, 'code of the vDSO', advice)];
}

function savedVdso(mm: MmEntry, pages: SavedPages): Buffer {
  const area = onlyArea(mm, 'vdso');
  return area ? savedBytes(area, pages.runs) : Buffer.alloc(0);
}
