// The functions that a vDSO offers, from its ELF dynamic symbols: vdso(7), elf(5). Pure.

/** One function; its names without the prefix `__vdso_`, aliases among them. */
export interface VdsoFunction {
  readonly names: ReadonlySet<string>;
  /** from the start of the vDSO */
  readonly offset: number;
  /** of its code, as the symbol says or up to the next function */
  readonly bytes: number;
}

const PROGRAM_HEADER = { offsetAt: 32, sizeAt: 54, countAt: 56 } as const;
const PT = { LOAD: 1, DYNAMIC: 2 } as const;
const DT = { HASH: 4, STRTAB: 5, SYMTAB: 6 } as const;
const DYNAMIC_BYTES = 16;
const SYMBOL_BYTES = 24;
const STT_FUNC = 2;
const MAX_SYMBOLS = 1000;
const PREFIX = /^__vdso_/;

/** @returns undefined for what is no ELF image that can be understood */
export function functionsOf(vdso: Buffer): VdsoFunction[] | undefined {
  try {
    return read(vdso);
  } catch (error) {
    // A number in it leads out of it.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function read(vdso: Buffer): VdsoFunction[] | undefined {
  if (vdso.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const word = (at: number): number => Number(vdso.readBigUInt64LE(at));
  const headers = Array.from({ length: vdso.readUInt16LE(PROGRAM_HEADER.countAt) }, (_, i) => {
    const at = word(PROGRAM_HEADER.offsetAt) + i * vdso.readUInt16LE(PROGRAM_HEADER.sizeAt);
    return { type: vdso.readUInt32LE(at), offset: word(at + 8), address: word(at + 16) };
  });
  const load = headers.find(({ type }) => type === PT.LOAD);
  const dynamic = headers.find(({ type }) => type === PT.DYNAMIC);
  if (!load || !dynamic) return undefined;
  const base = load.address - load.offset;
  const tags = dynamicTags(vdso, dynamic.offset);
  const [names, symbols, hash] = [tags.get(DT.STRTAB), tags.get(DT.SYMTAB), tags.get(DT.HASH)];
  if (names === undefined || symbols === undefined) return undefined;
  // Without a table of hashes: the names lie behind the symbols.
  const count =
    hash === undefined ? (names - symbols) / SYMBOL_BYTES : vdso.readUInt32LE(hash - base + 4);
  if (!(count > 0 && count <= MAX_SYMBOLS)) return undefined;
  const found = Array.from({ length: Math.floor(count) }, (_, i) => {
    const at = symbols - base + i * SYMBOL_BYTES;
    return {
      name: nameAt(vdso, names - base + vdso.readUInt32LE(at)),
      isFunction: (vdso.readUInt8(at + 4) & 0xf) === STT_FUNC && vdso.readUInt16LE(at + 6) !== 0,
      offset: word(at + 8) - base,
      bytes: word(at + 16),
    };
  });
  return grouped(
    found.filter(({ isFunction }) => isFunction),
    vdso.length,
  );
}

function dynamicTags(vdso: Buffer, start: number): ReadonlyMap<number, number> {
  const tags = new Map<number, number>();
  for (let at = start; ; at += DYNAMIC_BYTES) {
    const tag = Number(vdso.readBigInt64LE(at));
    if (tag === 0) return tags;
    tags.set(tag, Number(vdso.readBigUInt64LE(at + 8)));
  }
}

function nameAt(vdso: Buffer, at: number): string {
  const end = vdso.indexOf(0, at);
  if (at < 0 || end < at) throw new RangeError('a name without an end');
  return vdso.toString('latin1', at, end);
}

interface Found {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

function grouped(found: readonly Found[], end: number): VdsoFunction[] {
  const offsets = [...new Set(found.map(({ offset }) => offset))].sort((a, b) => a - b);
  return offsets.map((offset, i) => {
    const same = found.filter((one) => one.offset === offset);
    const room = (offsets[i + 1] ?? end) - offset;
    const bytes = Math.min(room, Math.max(...same.map((one) => one.bytes)) || room);
    return { names: new Set(same.map(({ name }) => name.replace(PREFIX, ''))), offset, bytes };
  });
}
