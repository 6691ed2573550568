// Where the registers of a thread lie in its XSAVE area, standard format (Intel SDM vol. 1, 13.4). The place of each part is
// what CPUID says, but both makers have kept to one layout each, which XCR0 and the size of the area give away.

/** Parts behind the legacy region, by their bit in XCR0. */
export const PART = {
  avx: 2,
  opmask: 5,
  zmmUpper: 6,
  hi16Zmm: 7,
  pkru: 9,
  tileConfig: 17,
  tileData: 18,
} as const;
export type Part = (typeof PART)[keyof typeof PART];

/** Bits of XCR0 for what lies in the legacy region: x87 and SSE. */
export const LEGACY_PARTS = 3n;
export const LEGACY_BYTES = 512;
const HEADER_BYTES = 64;
const AT = { xcr0: 464, xstateBv: 512, avx: 576 } as const;

const BYTES: Readonly<Record<Part, number>> = {
  [PART.avx]: 256,
  [PART.opmask]: 64,
  [PART.zmmUpper]: 512,
  [PART.hi16Zmm]: 1024,
  [PART.pkru]: 8,
  [PART.tileConfig]: 64,
  [PART.tileData]: 8192,
};
const ALL = Object.values(PART).sort((a, b) => a - b);

type Layout = Readonly<Partial<Record<Part, number>>>;
const LAYOUTS: readonly Layout[] = [
  // Intel leaves the room that bounds registers had.
  {
    [PART.avx]: AT.avx,
    [PART.opmask]: 1088,
    [PART.zmmUpper]: 1152,
    [PART.hi16Zmm]: 1664,
    [PART.pkru]: 2688,
    [PART.tileConfig]: 2752,
    [PART.tileData]: 2816,
  },
  // AMD never had them.
  {
    [PART.avx]: AT.avx,
    [PART.opmask]: 832,
    [PART.zmmUpper]: 896,
    [PART.hi16Zmm]: 1408,
    [PART.pkru]: 2432,
  },
];

/** Which parts the kernel keeps for a thread. */
export function keptParts(area: Buffer): bigint {
  return area.readBigUInt64LE(AT.xcr0);
}

/** Which parts hold something; all others are as after a reset. 0 in an area without a header. */
export function liveParts(area: Buffer): bigint {
  return area.length < LEGACY_BYTES + HEADER_BYTES ? 0n : area.readBigUInt64LE(AT.xstateBv);
}

export function setLiveParts(area: Buffer, parts: bigint): void {
  if (area.length >= LEGACY_BYTES + HEADER_BYTES) area.writeBigUInt64LE(parts, AT.xstateBv);
}

/** The bytes of each part that this area has; where its layout is not known only of AVX, whose place is the same everywhere. */
export function partsOf(area: Buffer): ReadonlyMap<Part, Buffer> {
  const kept = keptParts(area);
  const present = ALL.filter((part) => kept & (1n << BigInt(part)));
  const layout = LAYOUTS.find((one) => endOf(one, present) === area.length);
  return new Map(
    present.flatMap((part) => {
      const at = part === PART.avx ? AT.avx : layout?.[part];
      return at === undefined ? [] : [[part, area.subarray(at, at + BYTES[part])] as const];
    }),
  );
}

function endOf(layout: Layout, present: readonly Part[]): number {
  const ends = present.map((part) => (layout[part] ?? Number.NaN) + BYTES[part]);
  return Math.max(LEGACY_BYTES + HEADER_BYTES, ...ends);
}
