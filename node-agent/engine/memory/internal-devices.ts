// Where the kernel keeps memory that has no file system: objects there are told from files of the same name by their device.
import { hugePageDevices } from '../linux/huge-pages.ts';
import { kernelShmemDev } from './shared-memory.ts';

/** Devices as /proc/PID/maps prints them, `major:minor`. */
export interface InternalDevices {
  /** memfds, shared anonymous memory, System V segments */
  readonly shmem: string;
  /** the same made of reserved huge pages, and their bytes */
  readonly hugePages: ReadonlyMap<string, number>;
}

export function internalDevices(): InternalDevices {
  const hugePages = [...hugePageDevices()].map(([dev, bytes]) => [text(dev), bytes] as const);
  return { shmem: text(kernelShmemDev()), hugePages: new Map(hugePages) };
}

function text(dev: number): string {
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  return `${hex(dev >>> 20)}:${hex(dev & 0xfffff)}`;
}
