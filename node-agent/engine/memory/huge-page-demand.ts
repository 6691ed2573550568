// Reserved huge pages that a saved tree needs here: without them its memory cannot be mapped.
import { type Finding, refusal } from '../finding.ts';
import { IMAGES } from '../image/image-files.ts';
import type { ImageReader } from '../image/reader.ts';
import { defaultHugePageBytes, freeHugePages, sizeInFlags } from '../linux/huge-pages.ts';
import type { SavedTree } from '../state/records.ts';
import { sizeOf } from './address-space.ts';
import { isHuge, kindOf } from './saved-areas.ts';

/** One finding for each size of which there are too few. */
export function lackOfHugePages(tree: SavedTree, images: ImageReader): Finding[] {
  return [...demandOf(tree, images)].flatMap(([pageBytes, bytes]) => {
    const needed = Math.ceil(Number(bytes) / pageBytes);
    const free = freeHugePages(pageBytes);
    if (needed <= free) return [];
    const object = `${needed} huge pages of ${pageBytes / 1024} KiB, ${free} are free`;
    const advice = 'reserve more on the target (vm.nr_hugepages), or restore on another node';
    return [refusal('HugePages', 0, object, advice)];
  });
}

/** Bytes by size of page: what every process has for itself, and every shared object once. */
function demandOf({ processes }: SavedTree, images: ImageReader): Map<number, bigint> {
  const demand = new Map<number, bigint>();
  const add = (flags: number, bytes: bigint): void => {
    const pageBytes = sizeInFlags(flags) ?? defaultHugePageBytes();
    demand.set(pageBytes, (demand.get(pageBytes) ?? 0n) + bytes);
  };
  for (const { mm } of processes) {
    for (const area of mm?.vmas ?? []) {
      if (isHuge(area) && kindOf(area) === 'anonymous') add(area.flags, sizeOf(area));
    }
  }
  for (const { hugetlbFlag = 0, size } of images.records(IMAGES.memfd)) {
    if (hugetlbFlag !== 0) add(hugetlbFlag, size);
  }
  return demand;
}
