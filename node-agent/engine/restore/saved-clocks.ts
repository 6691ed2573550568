// Clocks that must not run backwards: what the saved processes read, against what their successors would read here.
import { IMAGES } from '../image/image-files.ts';
import type { Timespec } from '../image/messages/namespaces.ts';
import type { ImageReader } from '../image/reader.ts';
import { CLOCK } from '../linux/clocks.ts';

const NANOS = 1_000_000_000n;
/** CRIU's name for the namespace that the dumper is in, too. */
const DUMPERS_NAMESPACE = 0;

/** Nanoseconds, as the saved processes read them at the freeze. */
export interface SavedClocks {
  readonly monotonic: bigint;
  readonly boottime: bigint;
}

/** @returns undefined for images that do not tell */
export function readClocks(images: ImageReader): SavedClocks | undefined {
  const image = IMAGES.timens(DUMPERS_NAMESPACE);
  if (images.has(image)) {
    const { monotonic, boottime } = images.single(image);
    return { monotonic: nanosOf(monotonic), boottime: nanosOf(boottime) };
  }
  const { monotonicNs, boottimeNs } = images.single(IMAGES.inventory);
  return monotonicNs === undefined
    ? undefined
    : { monotonic: monotonicNs, boottime: boottimeNs ?? 0n };
}

const nanosOf = ({ tvSec, tvNsec }: Timespec): bigint => tvSec * NANOS + tvNsec;

/** By how much each clock is behind, nanoseconds; 0 for one that is not. */
export interface Lateness {
  readonly monotonic: bigint;
  readonly boottime: bigint;
}

/**
 * @param clock now, nanoseconds of a clock as the restored processes would read it
 * @returns undefined when no clock would run backwards
 */
export function lateness(saved: SavedClocks, clock: (id: number) => bigint): Lateness | undefined {
  const behind = (then: bigint, id: number): bigint => {
    const missing = then - clock(id);
    return missing > 0n ? missing : 0n;
  };
  const late = {
    monotonic: behind(saved.monotonic, CLOCK.MONOTONIC),
    boottime: behind(saved.boottime, CLOCK.BOOTTIME),
  };
  return late.monotonic > 0n || late.boottime > 0n ? late : undefined;
}
