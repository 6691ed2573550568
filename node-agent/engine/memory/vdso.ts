// The vDSO of a new process at the place where the saved one had its own: same code, same distance to its data.
import { closeSync, openSync, readSync } from 'node:fs';
import { SYS } from '../arch/x86-64.ts';
import type { MmEntry } from '../image/messages/memory.ts';
import { type Mapping, parseMaps } from '../linux/procfs/maps.ts';
import { readProc } from '../linux/procfs/read.ts';
import type { RemoteBatch } from '../tracee/remote-batch.ts';
import { sizeOf, type Span } from './address-space.ts';
import { onlyArea } from './saved-areas.ts';

const MREMAP_MAYMOVE_FIXED = 3;

/** The kernel's mappings in a process: code, and the data that it reads before it. */
export interface Vdso {
  readonly code: Span;
  /** ascending: [vvar], [vvar_vclock] */
  readonly data: readonly Span[];
}

export function findVdso(mappings: readonly Mapping[]): Vdso | undefined {
  const code = mappings.find((m) => m.name === '[vdso]');
  const data = mappings.filter((m) => m.name.startsWith('[vvar'));
  return code && { code, data };
}

export const vdsoBytes = ({ code, data }: Vdso): bigint =>
  data.reduce((sum, span) => sum + sizeOf(span), sizeOf(code));

/** The engine's own: every process of this kernel has the same. */
export function ownVdso(): { readonly vdso: Vdso; readonly bytes: Buffer } | undefined {
  // Of a thousand lines three are wanted.
  const lines = readProc('/proc/self/maps')
    .split('\n')
    .filter((line) => line.includes('[v'));
  const vdso = findVdso(parseMaps(lines.join('\n')));
  if (!vdso) return undefined;
  const bytes = Buffer.alloc(Number(sizeOf(vdso.code)));
  const fd = openSync('/proc/self/mem', 'r');
  readSync(fd, bytes, 0, bytes.length, vdso.code.start);
  closeSync(fd);
  return { vdso, bytes };
}

/** Does the saved layout fit: sizes, and the distance by which the code finds its data? */
export function fitsSaved(vdso: Vdso, mm: MmEntry): boolean {
  const code = onlyArea(mm, 'vdso');
  const data = onlyArea(mm, 'vvar');
  if (!code) return true;
  if (sizeOf(code) !== sizeOf(vdso.code)) return false;
  const [first] = vdso.data;
  if (!data || !first) return !data && !first;
  const bytes = vdso.data.reduce((sum, span) => sum + sizeOf(span), 0n);
  return sizeOf(data) === bytes && code.start - data.start === vdso.code.start - first.start;
}

export interface Move {
  readonly from: bigint;
  readonly to: bigint;
  readonly bytes: bigint;
}

/** Moves everything into one row at `place`, out of the way of what is unmapped next. */
export function parkingMoves(vdso: Vdso, place: bigint): Move[] {
  let to = place;
  return [...vdso.data, vdso.code].map((span) => {
    const move = { from: span.start, to, bytes: sizeOf(span) };
    to += move.bytes;
    return move;
  });
}

/** From the parking place to where the saved process had it. */
export function homeMoves(parked: readonly Move[], mm: MmEntry): Move[] {
  const code = onlyArea(mm, 'vdso');
  if (!code) return [];
  let at = onlyArea(mm, 'vvar')?.start ?? code.start;
  return parked.map(({ to, bytes }, i) => {
    const isCode = i === parked.length - 1;
    const move = { from: to, to: isCode ? code.start : at, bytes };
    at += bytes;
    return move;
  });
}

export function queueMoves(moves: readonly Move[], batch: RemoteBatch): void {
  for (const { from, to, bytes } of moves) {
    if (from !== to) batch.must(SYS.mremap, from, bytes, bytes, MREMAP_MAYMOVE_FIXED, to);
  }
}
