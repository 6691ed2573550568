// Reserved huge pages (hugetlbfs): sizes that the kernel has, and where objects of such pages live. hugetlbpage.rst
import { readdirSync, readFileSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { OwnedFd } from './descriptors.ts';
import { allocate, release, syscall } from './ffi.ts';
import { statFd } from './file-facts.ts';

const FOLDER = '/sys/kernel/mm/hugepages';
const MFD = { CLOEXEC: 1, HUGETLB: 4 } as const;
/** MAP_HUGE_SHIFT and MFD_HUGE_SHIFT: the size's logarithm stands above in the flags */
const SIZE_SHIFT = 26;

/** Sizes in bytes; none where the kernel has no reserved pages. */
export function hugePageSizes(): number[] {
  try {
    return readdirSync(FOLDER)
      .map((name) => Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0) * 1024)
      .filter((bytes) => bytes > 0);
  } catch {
    return [];
  }
}

/** Bits of mmap(2) and memfd_create(2) that ask for a size. */
export const hugeSizeFlags = (bytes: number): number => (Math.log2(bytes) << SIZE_SHIFT) >>> 0;

/** Size in bytes that such bits ask for; undefined for the machine's default. */
export function sizeInFlags(flags: number): number | undefined {
  const log = flags >>> SIZE_SHIFT;
  return log === 0 ? undefined : 2 ** log;
}

/** Device of the kernel's internal mount for each size, `major << 20 | minor`. */
export function hugePageDevices(): Map<number, number> {
  const devices = new Map<number, number>();
  const name = allocate(4096);
  name.bytes.write('diapause\0');
  for (const bytes of hugePageSizes()) {
    const flags = MFD.CLOEXEC | MFD.HUGETLB | hugeSizeFlags(bytes);
    const fd = syscall(SYS.memfd_create, name.address, flags);
    if (fd < 0) continue;
    using memfd = new OwnedFd(fd);
    devices.set(statFd(memfd.fd).dev, bytes);
  }
  release(name);
  return devices;
}

/** Pages of a size that nobody has and nobody was promised. */
export function freeHugePages(bytes: number): number {
  const read = (file: string): number => {
    const path = `${FOLDER}/hugepages-${bytes / 1024}kB/${file}`;
    return Number(readFileSync(path, 'latin1'));
  };
  try {
    return read('free_hugepages') - read('resv_hugepages');
  } catch {
    return 0;
  }
}

/** The size that MAP_HUGETLB alone means. */
export function defaultHugePageBytes(): number {
  const match = /^Hugepagesize:\s*(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1'));
  return Number(match?.[1] ?? 2048) * 1024;
}
