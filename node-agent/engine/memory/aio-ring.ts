// Rings of asynchronous I/O, io_setup(2): memory that the program shares with a context of the kernel, which is found by the
// ring's address. A context cannot be written down; a new one is brought to where the old one was.
import { SYS } from '../arch/x86-64.ts';
import { type Finding, refusal } from '../finding.ts';
import { ImageError } from '../image/image-error.ts';
import { IMAGES } from '../image/image-files.ts';
import type { AioRingEntry, MmEntry, VmaEntry } from '../image/messages/memory.ts';
import { readProc } from '../linux/procfs/read.ts';
import { readMemory, writeMemory } from '../linux/process-memory.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { sizeOf } from './address-space.ts';
import type { Area } from './area.ts';
import { kindOf } from './saved-areas.ts';

const PAGE = 4096;
/** struct aio_ring, fs/aio.c: header, then events */
const AT = { id: 0, nr: 4, head: 8, tail: 12, magic: 16 } as const;
const HEADER_BYTES = 32;
const EVENT_BYTES = 32;
const RING_MAGIC = 0xa10a10a1;
/** struct iocb, include/uapi/linux/aio_abi.h */
const IOCB_BYTES = 64;
const IOCB_AT = { opcode: 16, fd: 20, buffer: 24, bytes: 32 } as const;
const IOCB_CMD_PWRITE = 1;
/** The kernel deals requests out to CPUs by an eighth of the ring; a step below that never has to wait for one. */
const SMALL_STEP = 8;
const LARGE_STEP = 256;
const MFD_CLOEXEC = 1;
const MREMAP_MAYMOVE_FIXED = 3;

/**
 * Reads the rings of a stopped process. They are read in the freeze and kept beside CRIU's fields: a snapshot would show
 * what the running program does with them.
 */
export function collectRings(pid: number, areas: readonly Area[]): AioRingEntry[] {
  return areas
    .filter(({ kind }) => kind === 'aio-ring')
    .map(({ mapping: { start, end } }) => {
      const content = readMemory(pid, start, Number(end - start));
      return { id: start, nrReq: requestsOf(content), ringLen: content.length, content };
    });
}

/** What io_setup(2) must be asked for to make a ring of this size: the kernel doubles it and fills up the last page. */
const requestsOf = (ring: Buffer): number =>
  Math.floor((Math.floor((ring.length - HEADER_BYTES) / EVENT_BYTES) - 2) / 2);

/** Bytes of the ring that io_setup(2) makes where so many CPUs are possible: four requests for each are the least. */
export function ringBytes(requests: number, possibleCpus: number): number {
  const events = Math.max(requests, possibleCpus * 4) * 2 + 2;
  return Math.ceil((HEADER_BYTES + events * EVENT_BYTES) / PAGE) * PAGE;
}

/** Ring content that a kernel may have left. */
export function isRing(content: Buffer): boolean {
  if (content.length < PAGE || content.readUInt32LE(AT.magic) !== RING_MAGIC) return false;
  const nr = content.readUInt32LE(AT.nr);
  const fits = nr > 0 && HEADER_BYTES + nr * EVENT_BYTES <= content.length;
  return fits && content.readUInt32LE(AT.head) < nr && content.readUInt32LE(AT.tail) < nr;
}

/**
 * Judges the rings of a process that is to be rebuilt here.
 *
 * @param contentOf bytes of an area out of the saved pages
 * @throws ImageError for a ring that no kernel has made
 */
export function checkRings(
  pid: number,
  mm: MmEntry,
  contentOf: (area: VmaEntry) => Buffer,
): Finding[] {
  const damaged = (reason: string): ImageError =>
    new ImageError({ file: IMAGES.mm(pid).file, reason });
  const areas = new Map(
    mm.vmas.filter((vma) => kindOf(vma) === 'aio-ring').map((vma) => [vma.start, vma]),
  );
  if (areas.size !== mm.aios.length) {
    throw damaged(`has ${mm.aios.length} aios for ${areas.size} areas`);
  }
  const cpus = mm.aios.length > 0 ? possibleCpus(readProc('/sys/devices/system/cpu/possible')) : 0;
  return mm.aios.flatMap((ring) => {
    const area = areas.get(ring.id);
    const content = area && Buffer.from(ring.content ?? contentOf(area));
    if (!content || content.length !== Number(sizeOf(area)) || !isRing(content)) {
      throw damaged(`the ring at 0x${ring.id.toString(16)} is none`);
    }
    const object = `ring of ${content.length} bytes at 0x${ring.id.toString(16)}`;
    const advice = `the kernel here makes larger rings, for ${cpus} CPUs; use a node with fewer`;
    const fits = ringBytes(ring.nrReq, cpus) === content.length;
    return fits ? [] : [refusal('AioRing', pid, object, advice)];
  });
}

/** From the list in /sys/devices/system/cpu/possible: `0-1`, `0,2-3`. */
export function possibleCpus(list: string): number {
  const last = list.trim().split(/[,-]/).at(-1);
  return Number(last) + 1;
}

/**
 * Makes a context for every saved ring. The rest of the address space is there; where a ring belongs nothing is.
 *
 * @param contentOf bytes of an area out of the saved pages, for images of CRIU
 */
export function rebuildRings(
  builder: ProcessBuilder,
  mm: MmEntry,
  contentOf: (area: VmaEntry) => Buffer,
): void {
  for (const ring of mm.aios) {
    const area = mm.vmas.find(({ start }) => start === ring.id);
    if (!area) continue;
    const content = Buffer.from(ring.content ?? contentOf(area));
    const made = setUp(builder, ring);
    turn(builder, made, content);
    const length = sizeOf(area);
    builder.batch.must(SYS.mremap, made, length, length, MREMAP_MAYMOVE_FIXED, area.start);
    builder.flush();
    // The new context has its own number in the kernel's table.
    const own = readMemory(builder.process.pid, area.start, PAGE).readUInt32LE(AT.id);
    content.writeUInt32LE(own, AT.id);
    writeMemory(builder.process.pid, area.start, content);
  }
}

function setUp(builder: ProcessBuilder, { nrReq }: AioRingEntry): bigint {
  builder.makeRoom(1, 16);
  const context = builder.batch.space(8);
  builder.batch.must(SYS.io_setup, nrReq, context);
  builder.flush();
  return context.word(0);
}

/**
 * Gives the kernel's own end of the ring its place, and lets it count what the program has not taken yet: so many
 * requests that do nothing are made, first those that were taken, then those that were not.
 */
function turn(builder: ProcessBuilder, made: bigint, content: Buffer): void {
  const nr = content.readUInt32LE(AT.nr);
  const head = content.readUInt32LE(AT.head);
  const tail = content.readUInt32LE(AT.tail);
  builder.makeRoom(1, 16);
  const fd = builder.batch.must(SYS.memfd_create, builder.batch.text('aio'), MFD_CLOEXEC);
  builder.flush();
  for (let at = 0; at < head; ) {
    at += submit(builder, { context: made, fd: fd.number, count: Math.min(head - at, SMALL_STEP) });
    const taken = Buffer.alloc(4);
    taken.writeUInt32LE(at, 0);
    writeMemory(builder.process.pid, made + BigInt(AT.head), taken);
  }
  for (let left = (tail - head + nr) % nr; left > 0; ) {
    left -= submit(builder, { context: made, fd: fd.number, count: Math.min(left, LARGE_STEP) });
  }
  builder.batch.must(SYS.close, fd.number);
  builder.flush();
}

interface Requests {
  readonly context: bigint;
  readonly fd: number;
  readonly count: number;
}

/**
 * Requests that are done when the call returns: a byte into a file of our own, again and again.
 *
 * @returns how many were made, at least one
 */
function submit(builder: ProcessBuilder, { context, fd, count }: Requests): number {
  builder.makeRoom(1, IOCB_BYTES + count * 8 + 64);
  const { batch } = builder;
  const byte = batch.bytes(Buffer.alloc(1));
  const request = Buffer.alloc(IOCB_BYTES);
  request.writeUInt16LE(IOCB_CMD_PWRITE, IOCB_AT.opcode);
  request.writeUInt32LE(fd, IOCB_AT.fd);
  request.writeBigUInt64LE(byte.address, IOCB_AT.buffer);
  request.writeBigUInt64LE(1n, IOCB_AT.bytes);
  const pointers = Buffer.alloc(count * 8);
  const at = batch.bytes(request).address;
  for (let i = 0; i < count; i++) pointers.writeBigUInt64LE(at, i * 8);
  const done = batch.must(SYS.io_submit, context, count, batch.bytes(pointers));
  builder.flush();
  if (done.number === 0) throw new Error(`a ring of process ${builder.saved.pid} takes no more`);
  return done.number;
}
