// The registers of a thread: in CRIU's fields and back, and from a CPU that has them elsewhere.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mustBeWell } from '../../../test/victims/health.ts';
import { through } from '../../../test/victims/ordeals.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';
import { keptParts, liveParts, PART, type Part, partsOf, setLiveParts } from '../arch/xsave.ts';
import { IMAGES } from '../image/image-files.ts';
import type { CoreEntry } from '../image/messages/core.ts';
import { type UserX86FpregsEntry, userX86FpregsEntry } from '../image/messages/core-x86.ts';
import { ImageReader } from '../image/reader.ts';
import { doctor } from '../image/testing/doctor.ts';
import { fromFpregs, toFpregs, withLayoutOf } from './xstate.ts';

enterPrivateNamespaces();

/** XCR0 of CPUs with AVX-512 and protection keys, of those with AMX besides, and of old ones. */
const XCR0 = { vectors: 0x2e7n, tiles: 0x602e7n, avx: 7n } as const;
interface Cpu {
  readonly xcr0: bigint;
  readonly bytes: number;
}
const INTEL: Cpu = { xcr0: XCR0.vectors, bytes: 2696 };
const AMD: Cpu = { xcr0: XCR0.vectors, bytes: 2440 };
const TILES: Cpu = { xcr0: XCR0.tiles, bytes: 11_008 };
const OLD: Cpu = { xcr0: XCR0.avx, bytes: 832 };

function empty({ xcr0, bytes }: Cpu): Buffer {
  const area = Buffer.alloc(bytes);
  area.writeBigUInt64LE(xcr0, 464);
  return area;
}

/** As CRIU fills its fields: all that it has. */
function asCriuSaves(area: Buffer): UserX86FpregsEntry {
  const parts = partsOf(area);
  const long = (part: Part): bigint[] => {
    const bytes = parts.get(part) ?? Buffer.alloc(0);
    return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readBigUInt64LE(i * 8));
  };
  const pkru = parts.get(PART.pkru);
  const fpregs = userX86FpregsEntry.complete(toFpregs(area));
  return {
    ...fpregs,
    xsave: {
      ...fpregs.xsave!,
      xstateBv: liveParts(area),
      opmaskReg: long(PART.opmask),
      zmmUpper: long(PART.zmmUpper),
      hi16Zmm: long(PART.hi16Zmm),
      pkru: pkru === undefined ? [] : [pkru.readUInt32LE(0), pkru.readUInt32LE(4)],
    },
  };
}

/** All registers hold something. */
function full(cpu: Cpu): Buffer {
  const area = empty(cpu);
  area.writeUInt16LE(0x37f, 0);
  for (let i = 32; i < 416; i++) area[i] = (i * 7 + 3) & 0xff;
  for (const [part, bytes] of partsOf(area)) {
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 5 + part) & 0xff;
  }
  setLiveParts(area, cpu.xcr0);
  return area;
}

const contents = (area: Buffer): unknown => [
  area.subarray(0, 416).toString('hex'),
  ...[...partsOf(area)].map(([part, bytes]) => [part, bytes.toString('hex')]),
  liveParts(area),
];

describe('an XSAVE area', () => {
  test('has its parts where the maker of the CPU has put them', () => {
    const at = (area: Buffer): string =>
      [...partsOf(area)]
        .map(([part, bytes]) => `${part}@${bytes.byteOffset - area.byteOffset}`)
        .join(' ');
    assert.equal(at(empty(INTEL)), '2@576 5@1088 6@1152 7@1664 9@2688');
    assert.equal(at(empty(TILES)), '2@576 5@1088 6@1152 7@1664 9@2688 17@2752 18@2816');
    assert.equal(at(empty(AMD)), '2@576 5@832 6@896 7@1408 9@2432');
    assert.equal(at(empty(OLD)), '2@576');
    assert.equal(at(empty({ xcr0: XCR0.vectors, bytes: 4000 })), '2@576');
  });

  for (const [what, from, to] of [
    ['to the other maker', INTEL, AMD],
    ['and back', AMD, INTEL],
    ['to a CPU with more', OLD, INTEL],
  ] as const) {
    test(`goes ${what} with all registers`, () => {
      const area = withLayoutOf(full(from), empty(to));
      assert.equal(keptParts(area), to.xcr0);
      assert.equal(area.length, to.bytes);
      const expected = new Map(partsOf(full(from)));
      for (const [part, bytes] of partsOf(area)) {
        assert.deepEqual(bytes, expected.get(part) ?? Buffer.alloc(bytes.length), `part ${part}`);
      }
      assert.deepEqual(area.subarray(0, 416), full(from).subarray(0, 416));
      assert.equal(liveParts(area), from.xcr0);
    });
  }

  test('goes to a CPU with more parts that hold nothing', () => {
    const area = withLayoutOf(full(INTEL), empty(TILES));
    assert.equal(liveParts(area), XCR0.vectors);
    assert.ok(
      partsOf(area)
        .get(PART.tileData)
        ?.every((byte) => byte === 0),
    );
  });

  test('does not lose what has no place there', () => {
    assert.throws(() => withLayoutOf(full(INTEL), empty(OLD)), /XSAVE parts 0x20/);
    assert.throws(() => withLayoutOf(full(TILES), empty(INTEL)), /XSAVE parts 0x20000/);
    const idle = full(INTEL);
    setLiveParts(idle, XCR0.avx);
    assert.equal(liveParts(withLayoutOf(idle, empty(OLD))), XCR0.avx);
  });

  test('needs no place for protection keys that nobody uses', () => {
    const area = full(INTEL);
    setLiveParts(area, XCR0.avx | (1n << BigInt(PART.pkru)));
    assert.throws(() => withLayoutOf(area, empty(OLD)), /XSAVE parts 0x200/);
    partsOf(area).get(PART.pkru)?.writeUInt32LE(0x55555554);
    assert.equal(liveParts(withLayoutOf(area, empty(OLD))), XCR0.avx);
    assert.equal(liveParts(fromFpregs(asCriuSaves(area), empty(OLD))), XCR0.avx);
  });

  test('survives the way through the messages', () => {
    for (const cpu of [INTEL, AMD, OLD]) {
      const message = asCriuSaves(full(cpu));
      const decoded = userX86FpregsEntry.decode(userX86FpregsEntry.encode(message));
      assert.deepEqual(contents(fromFpregs(decoded, empty(cpu))), contents(full(cpu)));
    }
    assert.throws(() => fromFpregs(asCriuSaves(full(INTEL)), empty(OLD)), /XSAVE parts 0x20/);
  });
});

/** All threads of a bundle. */
function doctorCores(directory: string, change: (core: CoreEntry) => CoreEntry): void {
  using images = new ImageReader(directory);
  for (const { threads } of images.records(IMAGES.pstree)) {
    for (const tid of threads) doctor(directory, IMAGES.core(tid), change);
  }
}

describe('a program that watches all its registers', () => {
  for (const [what, change] of [
    [
      'as CRIU saves them',
      (core: CoreEntry): CoreEntry => {
        const { xstate, ...threadCore } = core.threadCore ?? assert.fail();
        const fpregs = asCriuSaves(Buffer.from(xstate ?? assert.fail()));
        return { ...core, threadCore, threadInfo: { ...core.threadInfo!, fpregs } } as CoreEntry;
      },
    ],
    [
      'of the other maker',
      (core: CoreEntry): CoreEntry => {
        const area = Buffer.from(core.threadCore?.xstate ?? assert.fail());
        const other = area.length === INTEL.bytes ? AMD : INTEL;
        const xstate = withLayoutOf(area, empty(other));
        return { ...core, threadCore: { ...core.threadCore!, xstate } };
      },
    ],
  ] as const) {
    test(`finds them as they were: ${what}`, async () => {
      using victim = await startVictim(buildVictim('steady'), ['plain']);
      const meanwhile = (directory: string): void => doctorCores(directory, change);
      using restored = await through(victim, 'dumped and restored', { meanwhile });
      await mustBeWell(restored.victim);
    });
  }
});
