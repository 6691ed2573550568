// Interim: rebuilds an address space until memory/rebuild.ts is there.
import { readSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import { IMAGES, RAW_FILES } from '../image/image-files.ts';
import type { ImageReader } from '../image/reader.ts';
import { VmaStatus } from '../image/messages/enums.ts';
import { writeMemory } from '../linux/process-memory.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import { mustBootstrap, settle } from '../tracee/bootstrap-call.ts';
import { RemoteBatch } from '../tracee/remote-batch.ts';
import { RESTORE_LEADER, Resident, residentBytes, SMALL_SLOT } from '../tracee/resident.ts';
import type { SavedTree } from '../state/records.ts';
import type { ProcessBuilder } from './builder.ts';
import { REG } from '../arch/x86-64.ts';

const VD = new Set(['[vdso]', '[vvar]', '[vvar_vclock]']);
export function checkMemory(tree: SavedTree, images: ImageReader) {
  let bytes = 0;
  for (const p of tree.processes) {
    if (p.zombie) continue;
    for (const r of images.records(IMAGES.pagemap(p.pid))) bytes += Number(r.nrPages ?? 0n) * 4096;
  }
  return { bytes, findings: [] };
}
export function rebuildMemory(
  builder: ProcessBuilder,
  context: {
    images: ImageReader;
    files: { path(id: number): string | undefined };
    progress(bytes: number): void;
  },
): void {
  const { process, saved } = builder;
  const { mm } = saved;
  if (!mm) throw new Error('no mm');
  const leader = process.leader;
  // exec
  const exe = context.files.path(mm.exeFileId);
  if (!exe) throw new Error('no exe path');
  settle(leader);
  const rsp = (leader.registers[REG.rsp]! - 8192n) & ~15n;
  const stack = readMaps(process.pid).find((m) => m.name === '[stack]');
  const at = stack ? stack.end - 16384n : rsp;
  writeMemory(process.pid, at, Buffer.from(`${exe}\0`, 'latin1'));
  const argv = Buffer.alloc(24);
  argv.writeBigUInt64LE(at, 0);
  writeMemory(process.pid, at - 64n, argv);
  mustBootstrap(leader, SYS.execve, [at, at - 64n, at - 56n]);
  process.resident = undefined;
  process.bootstrapAddress = undefined;
  leader.forget();
  leader.place = 'syscall';
  const maps = readMaps(process.pid);
  const want = mm.vmas.filter((v) => !(v.status & VmaStatus.GUARD));
  const used = [
    ...maps.map((m) => ({ start: m.start, end: m.end })),
    ...want.map((v) => ({ start: v.start, end: v.end })),
  ];
  const free = (n: bigint, from: bigint): bigint => {
    for (let a = from; ; ) {
      const hit = used.find((m) => m.start < a + n && m.end > a);
      if (!hit) return a;
      a = hit.end;
    }
  };
  const plan = { leader: RESTORE_LEADER, thread: SMALL_SLOT, threads: saved.threads.length };
  const size = BigInt(residentBytes(plan));
  const home = free(size, 0x20000000n);
  used.push({ start: home, end: home + size });
  Resident.map(process, plan, home);
  const park = free(0x40000n, 0x30000000n);
  const b = new RemoteBatch(leader);
  let pp = park;
  const parked = new Map<string, { a: bigint; n: bigint }>();
  for (const m of maps.filter((x) => VD.has(x.name))) {
    const n = m.end - m.start;
    b.must(SYS.mremap, m.start, n, n, 3, pp);
    parked.set(m.name, { a: pp, n });
    pp += n;
  }
  const keep = [
    { s: home, e: home + size },
    { s: park, e: park + 0x40000n },
  ].sort((x, y) => (x.s < y.s ? -1 : 1));
  let a = 0x10000n;
  for (const k of [...keep, { s: 0x7ffffffff000n, e: 0n }]) {
    b.must(SYS.munmap, a, k.s - a);
    a = k.e;
  }
  const vdso = want.find((v) => v.status & VmaStatus.VDSO);
  const vvar = want.find((v) => v.status & VmaStatus.VVAR);
  let v = vvar?.start;
  for (const m of maps.filter((x) => x.name.startsWith('[vvar'))) {
    const p = parked.get(m.name)!;
    b.must(SYS.mremap, p.a, p.n, p.n, 3, v!);
    v! += p.n;
  }
  const oldVdso = maps.find((m) => m.name === '[vdso]')!;
  const p = parked.get('[vdso]')!;
  b.must(SYS.mremap, p.a, p.n, p.n, 3, vdso!.start);
  b.run();
  process.bootstrapAddress = vdso!.start + (process.bootstrapAddress! - oldVdso.start);
  const late: (() => void)[] = [];
  const batch = new RemoteBatch(leader);
  for (const w of want) {
    if (w.status & (VmaStatus.VDSO | VmaStatus.VVAR | VmaStatus.VSYSCALL)) continue;
    if (!batch.hasRoom(6, 5000)) batch.run();
    const n = w.end - w.start;
    const anon = (w.flags & 0x20) !== 0;
    const flags = (w.flags & ~0x2000) | 0x100000;
    const prot = w.flags & 2 ? w.prot | 3 : w.prot;
    if (anon) batch.must(SYS.mmap, w.start, n, prot, flags, -1, 0);
    else {
      const path = context.files.path(Number(w.shmid));
      if (path === undefined) throw new Error('file without path');
      const fd = batch.must(SYS.openat, -100, batch.text(path), (w.fdflags ?? 0) & 3, 0);
      batch.must(SYS.mmap, w.start, n, prot, flags, fd, w.pgoff);
      batch.must(SYS.close, fd);
    }
    if (prot !== w.prot) late.push(() => batch.must(SYS.mprotect, w.start, n, w.prot));
    for (let bit = 0n; bit < 64n; bit++)
      if (((w.madv ?? 0n) >> bit) & 1n) late.push(() => batch.call(SYS.madvise, w.start, n, bit));
  }
  batch.run();
  const head = context.images.head(IMAGES.pagemap(saved.pid));
  const raw = context.images.openRaw(RAW_FILES.pages(head.pagesId));
  if (raw) {
    const buf = Buffer.alloc(1 << 20);
    let offset = 0;
    for (const r of context.images.records(IMAGES.pagemap(saved.pid))) {
      let left = Number(r.nrPages ?? 0n) * 4096;
      let to = r.vaddr;
      if (vdso && to >= vdso.start && to < vdso.end) {
        offset += left;
        continue;
      }
      while (left > 0) {
        const n = readSync(raw.fd, buf, 0, Math.min(left, buf.length), offset);
        writeMemory(process.pid, to, buf.subarray(0, n));
        to += BigInt(n);
        offset += n;
        left -= n;
        context.progress(n);
      }
    }
  }
  for (const l of late) {
    if (!batch.hasRoom(1, 0)) batch.run();
    l();
  }
  batch.run();
  const map = Buffer.alloc(104);
  [
    mm.mmStartCode,
    mm.mmEndCode,
    mm.mmStartData,
    mm.mmEndData,
    mm.mmStartBrk,
    mm.mmBrk,
    mm.mmStartStack,
    mm.mmArgStart,
    mm.mmArgEnd,
    mm.mmEnvStart,
    mm.mmEnvEnd,
  ].forEach((x, i) => map.writeBigUInt64LE(x, i * 8));
  const auxv = Buffer.alloc(mm.mmSavedAuxv.length * 8);
  mm.mmSavedAuxv.forEach((x, i) => auxv.writeBigUInt64LE(x, i * 8));
  const ax = batch.bytes(auxv);
  map.writeBigUInt64LE(ax.address, 88);
  map.writeUInt32LE(auxv.length, 96);
  map.writeUInt32LE(0xffffffff, 100);
  batch.must(SYS.prctl, 35, 14, batch.bytes(map), 104, 0);
  batch.run();
}
