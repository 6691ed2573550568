// BPF maps by their descriptors: facts, content, and being made; bpf(2).
import { SYS } from '../arch/x86-64.ts';
import { check, LinuxError } from './error.ts';
import { allocate, release, syscall } from './ffi.ts';

const COMMAND = {
  MAP_CREATE: 0,
  OBJ_GET_INFO_BY_FD: 15,
  MAP_FREEZE: 22,
  MAP_LOOKUP_BATCH: 24,
  MAP_UPDATE_BATCH: 26,
} as const;
const ENOENT = 2;
/** as much of `union bpf_attr` as is used here */
const ATTRIBUTE_BYTES = 72;
const CREATE_BYTES = 72;
const INFO_BYTES = 88;
const NAME_BYTES = 16;
/** A place in a hash table, as the kernel remembers it between two lookups. */
const PLACE_BYTES = 64;

/** What makes a map. */
export interface BpfMapShape {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
  readonly extra: bigint;
}

export interface BpfMapFacts extends BpfMapShape {
  readonly id: number;
  readonly ifindex: number;
  /** 0: the map knows nothing of the types of its content */
  readonly btfId: number;
}

export interface BpfMapContent {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
}

/** `struct bpf_map_info`. @throws LinuxError EPERM without CAP_BPF */
export function bpfMapFacts(fd: number): BpfMapFacts {
  const area = allocate(4096);
  try {
    const { view, address, bytes } = area;
    view.setUint32(0, fd, true);
    view.setUint32(4, INFO_BYTES, true);
    view.setBigUint64(8, address + 256n, true);
    check(syscall(SYS.bpf, COMMAND.OBJ_GET_INFO_BY_FD, address, 16), 'bpf(OBJ_GET_INFO)');
    const word = (index: number): number => view.getUint32(256 + index * 4, true);
    const name = bytes.subarray(256 + 24, 256 + 24 + NAME_BYTES).toString('latin1');
    return {
      type: word(0),
      id: word(1),
      keySize: word(2),
      valueSize: word(3),
      maxEntries: word(4),
      flags: word(5),
      name: name.replace(/\0.*$/s, ''),
      ifindex: word(10),
      btfId: word(16),
      extra: view.getBigUint64(256 + 80, true),
    };
  } finally {
    release(area);
  }
}

/** A new map, close-on-exec. */
export function makeBpfMap(shape: BpfMapShape): number {
  const area = allocate(4096);
  try {
    const { view, address, bytes } = area;
    const words = [shape.type, shape.keySize, shape.valueSize, shape.maxEntries, shape.flags];
    words.forEach((word, i) => view.setUint32(i * 4, word, true));
    bytes.write(shape.name.slice(0, NAME_BYTES - 1), 28, 'latin1');
    view.setBigUint64(64, shape.extra, true);
    const fd = syscall(SYS.bpf, COMMAND.MAP_CREATE, address, CREATE_BYTES);
    return check(fd, 'bpf(MAP_CREATE)', { object: `map ${shape.name}` });
  } finally {
    release(area);
  }
}

/** No more writing by system calls. */
export function freezeBpfMap(fd: number): void {
  const area = allocate(4096);
  area.view.setUint32(0, fd, true);
  const result = syscall(SYS.bpf, COMMAND.MAP_FREEZE, area.address, 4);
  release(area);
  check(result, 'bpf(MAP_FREEZE)');
}

/** Everything in the map, 8 MiB at most in one call. @throws LinuxError */
export function readBpfMap(fd: number, shape: BpfMapShape): BpfMapContent {
  const { keySize, valueSize, maxEntries } = shape;
  const keys = allocate(Math.max(1, keySize * maxEntries));
  const values = allocate(Math.max(1, valueSize * maxEntries));
  const batch = new Batch(fd);
  try {
    let count = 0;
    for (let more = true; more && count < maxEntries; ) {
      const at = [
        keys.address + BigInt(count * keySize),
        values.address + BigInt(count * valueSize),
      ] as const;
      const found = batch.run(COMMAND.MAP_LOOKUP_BATCH, ...at, maxEntries - count);
      more = found.more && found.count > 0;
      count += found.count;
    }
    const copy = (bytes: Buffer, length: number): Buffer => Buffer.from(bytes.subarray(0, length));
    return {
      count,
      keys: copy(keys.bytes, count * keySize),
      values: copy(values.bytes, count * valueSize),
    };
  } finally {
    release(keys);
    release(values);
    batch[Symbol.dispose]();
  }
}

/** Puts saved content into an empty map. */
export function fillBpfMap(fd: number, { count, keys, values }: BpfMapContent): void {
  if (count === 0) return;
  const area = allocate(keys.length + values.length);
  const batch = new Batch(fd);
  try {
    area.bytes.set(keys);
    area.bytes.set(values, keys.length);
    const at = [area.address, area.address + BigInt(keys.length)] as const;
    const done = batch.run(COMMAND.MAP_UPDATE_BATCH, ...at, count);
    if (done.count !== count) throw new Error(`a BPF map took ${done.count} of ${count} entries`);
  } finally {
    release(area);
    batch[Symbol.dispose]();
  }
}

/** The batch commands, which remember where they were. */
class Batch implements Disposable {
  readonly #area = allocate(4096);
  readonly #fd: number;
  #begun = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  run(command: number, keys: bigint, values: bigint, count: number) {
    const { view, address } = this.#area;
    const place = address + 256n;
    view.setBigUint64(0, this.#begun ? place : 0n, true);
    view.setBigUint64(8, place + BigInt(PLACE_BYTES), true);
    view.setBigUint64(16, keys, true);
    view.setBigUint64(24, values, true);
    view.setUint32(32, count, true);
    view.setUint32(36, this.#fd, true);
    const result = syscall(SYS.bpf, command, address, ATTRIBUTE_BYTES - 16);
    if (result < 0 && result !== -ENOENT) throw new LinuxError('bpf(BATCH)', -result);
    this.#area.bytes.copyWithin(256, 256 + PLACE_BYTES, 256 + 2 * PLACE_BYTES);
    this.#begun = true;
    return { count: view.getUint32(32, true), more: result === 0 };
  }

  [Symbol.dispose](): void {
    release(this.#area);
  }
}
