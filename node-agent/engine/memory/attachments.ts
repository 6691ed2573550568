// System V segments in an address space: attached as a whole, then cut down to what the process had left of them; shmat(2).
import { SYS } from '../arch/x86-64.ts';
import { IMAGES } from '../image/image-files.ts';
import type { MmEntry, VmaEntry } from '../image/messages/memory.ts';
import type { ImageReader } from '../image/reader.ts';
import { readMaps } from '../linux/procfs/maps.ts';
import type { ProcessBuilder } from '../restore/builder.ts';
import { sizeOf, type Span } from './address-space.ts';
import { PROT } from './area.ts';
import { fillPages } from './fill.ts';
import type { AreasToMap } from './map-areas.ts';
import { kindOf } from './saved-areas.ts';
import { readPagemap } from './saved-pages.ts';

const SHM = { RDONLY: 0o10000, EXEC: 0o100000 } as const;

/** One call of shmat(2), and what is left of it. */
export interface Attachment {
  readonly shmid: number;
  /** where the segment begins, or would */
  readonly base: bigint;
  /** ascending */
  readonly areas: readonly VmaEntry[];
}

/** Areas that one call attached: of one segment, and at the same distance from its beginning. Pure. */
export function attachmentsOf({ vmas }: MmEntry): Attachment[] {
  const found = new Map<string, { shmid: number; base: bigint; areas: VmaEntry[] }>();
  for (const area of vmas) {
    if (kindOf(area) !== 'sysv-segment') continue;
    const shmid = Number(area.shmid);
    const base = area.start - area.pgoff;
    const key = `${shmid} ${base}`;
    const attachment = found.get(key) ?? { shmid, base, areas: [] };
    attachment.areas.push(area);
    found.set(key, attachment);
  }
  return [...found.values()];
}

/** What of a span no area covers. Pure. */
export function gapsIn(span: Span, areas: readonly Span[]): Span[] {
  const gaps: Span[] = [];
  let { start } = span;
  for (const area of areas) {
    if (area.start > start) gaps.push({ start, end: area.start });
    start = area.end;
  }
  if (start < span.end) gaps.push({ start, end: span.end });
  return gaps;
}

/** Before anything else is mapped: a segment may have been cut down to make room for it. */
export function attachSegments(builder: ProcessBuilder, { mm, inherited }: AreasToMap): void {
  const attachments = attachmentsOf(mm).filter(
    ({ areas }) => !areas.every((area) => inherited.has(area)),
  );
  for (const { shmid, base, areas } of attachments) {
    const any = (bit: number): boolean => areas.some(({ prot }) => (prot & bit) !== 0);
    const flags = (any(PROT.WRITE) ? 0 : SHM.RDONLY) | (any(PROT.EXEC) ? SHM.EXEC : 0);
    builder.makeRoom(1, 0);
    builder.batch.must(SYS.shmat, shmid, base, flags);
  }
  if (attachments.length === 0) return;
  builder.flush();
  const mappings = readMaps(builder.process.pid);
  for (const { base, areas } of attachments) {
    const whole = mappings.find(({ start }) => start === base);
    for (const gap of whole ? gapsIn(whole, areas) : []) {
      builder.makeRoom(1, 0);
      builder.batch.must(SYS.munmap, gap.start, sizeOf(gap));
    }
    for (const { start, end, prot } of areas) {
      builder.makeRoom(1, 0);
      builder.batch.must(SYS.mprotect, start, end - start, prot);
    }
  }
  builder.flush();
}

/**
 * Writes the saved content of a segment through a process, whose cgroup then pays for the pages.
 *
 * @throws LinuxError when the process may not write to it
 */
export function fillSegment(shmid: number, images: ImageReader, builder: ProcessBuilder): void {
  const pages = readPagemap(images, IMAGES.pagemapShmem(shmid));
  builder.makeRoom(1, 0);
  const at = builder.batch.must(SYS.shmat, shmid, 0, 0);
  builder.flush();
  const runs = pages.runs.map((run) => ({
    ...run,
    start: at.value + run.start,
    end: at.value + run.end,
  }));
  fillPages(builder.process.pid, runs, () => undefined);
  builder.batch.must(SYS.shmdt, at.value);
  builder.flush();
}
