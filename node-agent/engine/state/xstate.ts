// FPU, SSE, AVX and every other register of the XSAVE area.
import {
  keptParts,
  LEGACY_PARTS,
  liveParts,
  PART,
  type Part,
  partsOf,
  setLiveParts,
} from '../arch/xsave.ts';
import type { CoreEntry } from '../image/messages/core.ts';
import type { UserX86FpregsEntry } from '../image/messages/core-x86.ts';
import { getXstate, setXstate } from '../linux/ptrace.ts';
import type { Draft } from './records.ts';
import type { ThreadKind } from './state-kind.ts';

/** The legacy region. */
const AT = {
  cwd: 0,
  swd: 2,
  twd: 4,
  fop: 6,
  rip: 8,
  rdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
  /** the kernel's own words */
  software: 464,
  end: 512,
} as const;
const ST_WORDS = 32;
const XMM_WORDS = 64;
const WORD_BYTES = { u32: 4, u64: 8 } as const;

/** Parts that CRIU's messages have a field for. */
const FIELDS = [
  [PART.avx, 'ymmhSpace', 'u32'],
  [PART.opmask, 'opmaskReg', 'u64'],
  [PART.zmmUpper, 'zmmUpper', 'u64'],
  [PART.hi16Zmm, 'hi16Zmm', 'u64'],
  [PART.pkru, 'pkru', 'u32'],
] as const;

/** What the kernel gives every thread; where there are no protection keys it says nothing. */
const USUAL_PKRU = 0x55555554;

const bitOf = (part: Part): bigint => 1n << BigInt(part);

const words = (area: Buffer, at: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => area.readUInt32LE(at + i * WORD_BYTES.u32));

/** Of CRIU's fields those for x87, SSE and AVX. The area itself travels in a field of ours. */
export function toFpregs(area: Buffer): Draft<UserX86FpregsEntry> {
  const fpregs: Draft<UserX86FpregsEntry> = {
    cwd: area.readUInt16LE(AT.cwd),
    swd: area.readUInt16LE(AT.swd),
    twd: area.readUInt16LE(AT.twd),
    fop: area.readUInt16LE(AT.fop),
    rip: area.readBigUInt64LE(AT.rip),
    rdp: area.readBigUInt64LE(AT.rdp),
    mxcsr: area.readUInt32LE(AT.mxcsr),
    mxcsrMask: area.readUInt32LE(AT.mxcsrMask),
    stSpace: words(area, AT.st, ST_WORDS),
    xmmSpace: words(area, AT.xmm, XMM_WORDS),
    padding: [],
  };
  const avx = partsOf(area).get(PART.avx);
  if (avx === undefined) return fpregs;
  fpregs.xsave = {
    xstateBv: liveParts(area) & (LEGACY_PARTS | bitOf(PART.avx)),
    ymmhSpace: words(avx, 0, avx.length / WORD_BYTES.u32),
  };
  return fpregs;
}

/** An XSAVE area from CRIU's fields, on top of `current`, the area of the thread as the kernel made it. */
export function fromFpregs(fpregs: UserX86FpregsEntry, current: Buffer): Buffer {
  const area = Buffer.alloc(current.length);
  current.copy(area, AT.software, AT.software, AT.end);
  area.writeUInt16LE(fpregs.cwd, AT.cwd);
  area.writeUInt16LE(fpregs.swd, AT.swd);
  area.writeUInt16LE(fpregs.twd, AT.twd);
  area.writeUInt16LE(fpregs.fop, AT.fop);
  area.writeBigUInt64LE(fpregs.rip, AT.rip);
  area.writeBigUInt64LE(fpregs.rdp, AT.rdp);
  area.writeUInt32LE(fpregs.mxcsr, AT.mxcsr);
  area.writeUInt32LE(fpregs.mxcsrMask, AT.mxcsrMask);
  fpregs.stSpace.forEach((word, i) => area.writeUInt32LE(word, AT.st + i * WORD_BYTES.u32));
  fpregs.xmmSpace.forEach((word, i) => area.writeUInt32LE(word, AT.xmm + i * WORD_BYTES.u32));
  let live = LEGACY_PARTS;
  const { xsave } = fpregs;
  for (const [part, field, size] of FIELDS) {
    const saved: readonly (number | bigint)[] = xsave?.[field] ?? [];
    // What the message has no words for was lost by whoever wrote it.
    if (saved.length === 0 || !((xsave?.xstateBv ?? 0n) & bitOf(part))) continue;
    const parts = partsOf(area);
    if (part === PART.pkru && saved[0] === USUAL_PKRU && !parts.has(part)) continue;
    const place = placeOf(parts, part, saved.length * WORD_BYTES[size]);
    saved.forEach((word, i) => {
      if (size === 'u32') place.writeUInt32LE(Number(word), i * WORD_BYTES.u32);
      else place.writeBigUInt64LE(BigInt(word), i * WORD_BYTES.u64);
    });
    live |= bitOf(part);
  }
  setLiveParts(area, live);
  return area;
}

/** The area of a CPU with another layout on top of `current`. @throws Error when a register has no place here */
export function withLayoutOf(saved: Buffer, current: Buffer): Buffer {
  const area = Buffer.alloc(current.length);
  saved.copy(area, 0, 0, AT.software);
  current.copy(area, AT.software, AT.software, AT.end);
  const [from, to] = [partsOf(saved), partsOf(area)];
  const isUsual = from.get(PART.pkru)?.readUInt32LE(0) === USUAL_PKRU && !to.has(PART.pkru);
  const live = liveParts(saved) & ~(isUsual ? bitOf(PART.pkru) : 0n);
  const known = [...from.keys()].reduce((sum, part) => sum | bitOf(part), LEGACY_PARTS);
  if (live & ~known) throw lacking(live & ~known);
  for (const [part, bytes] of from) {
    if (live & bitOf(part)) bytes.copy(placeOf(to, part, bytes.length));
  }
  setLiveParts(area, live);
  return area;
}

function placeOf(parts: ReadonlyMap<Part, Buffer>, part: Part, bytes: number): Buffer {
  const place = parts.get(part);
  if (place?.length !== bytes) throw lacking(bitOf(part));
  return place;
}

function lacking(parts: bigint): Error {
  const facts = `the saved registers are of a CPU with more (XSAVE parts 0x${parts.toString(16)})`;
  return new Error(`${facts}: restore on a machine that has all its features`);
}

/** The area to restore: verbatim where we saved it on a CPU with the same layout. */
function savedArea(core: CoreEntry, current: Buffer): Buffer | undefined {
  const verbatim = core.threadCore?.xstate;
  if (verbatim !== undefined) {
    const area = Buffer.from(verbatim);
    const isAlike = area.length === current.length && keptParts(area) === keptParts(current);
    return isAlike ? area : withLayoutOf(area, current);
  }
  const fpregs = core.threadInfo?.fpregs;
  return fpregs ? fromFpregs(fpregs, current) : undefined;
}

export const xstate: ThreadKind = {
  name: 'xstate',
  scope: 'thread',
  stage: 'final',

  collect({ thread }) {
    const area = getXstate(thread.tid);
    return ({ threadInfo, threadCore }) => {
      threadInfo.fpregs = toFpregs(area);
      threadCore.xstate = area;
    };
  },

  restore(core, { thread }) {
    const area = savedArea(core, getXstate(thread.tid));
    if (area) setXstate(thread.tid, area);
  },
};
