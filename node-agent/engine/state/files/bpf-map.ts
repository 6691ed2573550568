// BPF maps that a program holds: arrays and hash tables with their content; bpf(2).
import { FdType } from '../../image/messages/enums.ts';
import { refusal } from '../../finding.ts';
import type { BpfmapFileEntry } from '../../image/messages/tun-bpf.ts';
import { IMAGES } from '../../image/image-files.ts';
import {
  type BpfMapContent,
  type BpfMapFacts,
  bpfMapFacts,
  fillBpfMap,
  freezeBpfMap,
  makeBpfMap,
  readBpfMap,
} from '../../linux/bpf.ts';
import { LinuxError } from '../../linux/error.ts';
import { fdInfoValue } from './fdinfo.ts';
import type { FileKind } from './file-kind.ts';
import type { OpenFile } from './open-file.ts';
import { ownerOf } from './owner.ts';

/** BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY: what other types hold leads to other objects, or is one per CPU. */
const TYPES: ReadonlySet<number> = new Set([1, 2]);
/** It is copied in the freeze. */
const MAX_BYTES = 64 << 20;

export const bpfMap: FileKind = {
  name: 'bpf-map',

  recognises: ({ link }) => link === 'anon_inode:bpf-map',

  collect(file, dump) {
    const facts = readFacts(file);
    if (!facts) return undefined;
    const content = readBpfMap(file.duplicate, facts);
    const { count, keys, values } = content;
    dump.afterThaw((images) => {
      const sizes = { keysBytes: keys.length, valuesBytes: values.length, count };
      images.append(
        IMAGES.bpfmapData,
        { mapId: facts.id, ...sizes },
        Buffer.concat([keys, values]),
      );
    });
    return { type: FdType.BPFMAP, id: file.id, bpf: describe(file, facts) };
  },

  restores: ({ bpf }) => bpf !== undefined,

  check(entry, target) {
    const saved = entry.bpf!;
    const content = target.saved.bpfMap(saved.mapId);
    const whole = content && TYPES.has(saved.mapType) && fits(saved, content);
    if (whole) return [];
    const object = `BPF map ${saved.mapName}`;
    const advice = 'its content is missing or of another size than its table: dump again';
    return [refusal('BpfMapContent', target.pidOf(entry.id), object, advice)];
  },

  open:
    ({ bpf }, { saved }) =>
    () =>
      make(bpf!, saved.bpfMap(bpf!.mapId) as BpfMapContent),
};

/** Undefined after a refusal. */
function readFacts(file: OpenFile): BpfMapFacts | undefined {
  try {
    const facts = bpfMapFacts(file.duplicate);
    const { type, keySize, valueSize, maxEntries, btfId, ifindex } = facts;
    if (!TYPES.has(type) || ifindex !== 0) {
      return file.refuse('BpfMapType', `BPF maps of type ${type} cannot be saved: close it`);
    }
    if ((keySize + valueSize) * maxEntries > MAX_BYTES) {
      return file.refuse('BpfMapSize', `it may hold more than ${MAX_BYTES >> 20} MiB: close it`);
    }
    if (btfId !== 0) {
      file.report('loss', 'BpfMapTypes', 'what it tells of the types of its content is not kept');
    }
    return facts;
  } catch (error) {
    if (!(error instanceof LinuxError) || error.errno !== 'EPERM') throw error;
    return file.refuse('BpfMap', 'the node does not let BPF maps be read: close it');
  }
}

function describe(file: OpenFile, facts: BpfMapFacts): BpfmapFileEntry {
  const { id, flags, pos } = { id: file.id, ...file.info };
  return {
    id,
    flags,
    pos,
    fown: ownerOf(file),
    mapType: facts.type,
    keySize: facts.keySize,
    valueSize: facts.valueSize,
    mapId: facts.id,
    maxEntries: facts.maxEntries,
    mapFlags: facts.flags,
    memlock: BigInt(fdInfoValue(file.info, 'memlock') ?? 0),
    frozen: fdInfoValue(file.info, 'frozen') === '1',
    mapName: facts.name,
    ifindex: facts.ifindex,
    ...(facts.extra !== 0n && { mapExtra: facts.extra }),
  };
}

/** The kernel is told addresses and a count: they must not lead beyond what was read. */
function fits(saved: BpfmapFileEntry, { count, keys, values }: BpfMapContent): boolean {
  const { keySize, valueSize, maxEntries } = saved;
  const sizes = keys.length === count * keySize && values.length === count * valueSize;
  return sizes && count <= maxEntries && (keySize + valueSize) * maxEntries <= MAX_BYTES;
}

function make(saved: BpfmapFileEntry, content: BpfMapContent): number {
  const fd = makeBpfMap({
    type: saved.mapType,
    keySize: saved.keySize,
    valueSize: saved.valueSize,
    maxEntries: saved.maxEntries,
    flags: saved.mapFlags,
    name: saved.mapName,
    extra: saved.mapExtra ?? 0n,
  });
  fillBpfMap(fd, content);
  if (saved.frozen) freezeBpfMap(fd);
  return fd;
}
