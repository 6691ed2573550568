// Which shared libraries a program asks for, read from its ELF dynamic section (elf(5)).

export interface Linkage {
  /** names as in DT_NEEDED, `libc.so.6` */
  readonly libraries: readonly string[];
  /** the dynamic linker's path, if the file is a program */
  readonly interpreter?: string;
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/**
 * Reads the linkage of a 64-bit little-endian ELF file.
 * @returns undefined when the file is something else, or is not linked dynamically
 */
export function readLinkage(file: Buffer): Linkage | undefined {
  const isElf64 =
    file.length >= 64 && file.readUInt32BE(0) === 0x7f454c46 && file[4] === 2 && file[5] === 1;
  if (!isElf64) {
    return undefined;
  }
  const segments = readSegments(file);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) {
    return undefined;
  }
  const interp = segments.find((segment) => segment.type === PT_INTERP);
  const libraries = readNeeded(file, dynamic, segments);
  return interp === undefined
    ? { libraries }
    : { libraries, interpreter: readString(file, interp.offset) };
}

function readSegments(file: Buffer): readonly Segment[] {
  const table = Number(file.readBigUInt64LE(32));
  const entrySize = file.readUInt16LE(54);
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = table + index * entrySize;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      size: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function readNeeded(file: Buffer, dynamic: Segment, segments: readonly Segment[]): string[] {
  const needed: number[] = [];
  let strings = 0;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = Number(file.readBigUInt64LE(at));
    const value = Number(file.readBigUInt64LE(at + 8));
    if (tag === DT_NULL) {
      break;
    }
    if (tag === DT_NEEDED) {
      needed.push(value);
    } else if (tag === DT_STRTAB) {
      strings = toOffset(value, segments);
    }
  }
  return needed.map((name) => readString(file, strings + name));
}

/** DT_STRTAB is an address of the loaded program, not a place in the file. */
function toOffset(address: number, segments: readonly Segment[]): number {
  const holder = segments.find(
    ({ type, address: start, size }) =>
      type === PT_LOAD && address >= start && address < start + size,
  );
  if (holder === undefined) {
    throw new Error(`ELF: no segment holds address 0x${address.toString(16)}`);
  }
  return address - holder.address + holder.offset;
}

function readString(file: Buffer, offset: number): string {
  return file.toString('latin1', offset, file.indexOf(0, offset));
}
