// FPU, SSE, AVX and every other register of the XSAVE area.
import type { CoreEntry } from '../image/messages/core.ts';
import type { UserX86FpregsEntry } from '../image/messages/core-x86.ts';
import { getXstate, setXstate } from '../linux/ptrace.ts';
import type { Draft } from './records.ts';
import type { ThreadKind } from './state-kind.ts';

// The XSAVE area, standard format (Intel SDM vol. 1, 13.4): legacy region, header, then AVX at a fixed place.
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
  xcr0: 464,
  xstateBv: 512,
  ymmh: 576,
} as const;
const ST_WORDS = 32;
const XMM_WORDS = 64;
const YMMH_WORDS = 64;
const LEGACY_BYTES = 512;
const HEADER_BYTES = 64;
const FEATURE = { x87: 1n, sse: 2n, avx: 4n } as const;

const words = (area: Buffer, at: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => area.readUInt32LE(at + i * 4));

/** CRIU's fields of an XSAVE area: what its messages can carry. The area itself travels in a field of ours. */
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
  if (area.length < AT.ymmh + YMMH_WORDS * 4) return fpregs;
  const carried = FEATURE.x87 | FEATURE.sse | FEATURE.avx;
  fpregs.xsave = {
    xstateBv: area.readBigUInt64LE(AT.xstateBv) & carried,
    ymmhSpace: words(area, AT.ymmh, YMMH_WORDS),
  };
  return fpregs;
}

/** An XSAVE area from CRIU's fields, on top of `current`, the area of the thread as the kernel made it. */
export function fromFpregs(fpregs: UserX86FpregsEntry, current: Buffer): Buffer {
  const area = Buffer.alloc(current.length);
  current.copy(area, AT.xcr0, AT.xcr0, LEGACY_BYTES);
  area.writeUInt16LE(fpregs.cwd, AT.cwd);
  area.writeUInt16LE(fpregs.swd, AT.swd);
  area.writeUInt16LE(fpregs.twd, AT.twd);
  area.writeUInt16LE(fpregs.fop, AT.fop);
  area.writeBigUInt64LE(fpregs.rip, AT.rip);
  area.writeBigUInt64LE(fpregs.rdp, AT.rdp);
  area.writeUInt32LE(fpregs.mxcsr, AT.mxcsr);
  area.writeUInt32LE(fpregs.mxcsrMask, AT.mxcsrMask);
  fpregs.stSpace.forEach((word, i) => area.writeUInt32LE(word, AT.st + i * 4));
  fpregs.xmmSpace.forEach((word, i) => area.writeUInt32LE(word, AT.xmm + i * 4));
  const { xsave } = fpregs;
  if (area.length < LEGACY_BYTES + HEADER_BYTES) return area;
  area.writeBigUInt64LE((xsave?.xstateBv ?? 0n) | FEATURE.x87 | FEATURE.sse, AT.xstateBv);
  xsave?.ymmhSpace.forEach((word, i) => {
    if (AT.ymmh + i * 4 + 4 <= area.length) area.writeUInt32LE(word, AT.ymmh + i * 4);
  });
  return area;
}

/** The area to restore: verbatim where we saved it on a CPU with the same layout, else from CRIU's fields. */
function savedArea(core: CoreEntry, current: Buffer): Buffer | undefined {
  const verbatim = core.threadCore?.xstate;
  if (verbatim && verbatim.length === current.length) return Buffer.from(verbatim);
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
