// Arithmetic on address ranges: what is free in an old and a new layout, and what must go. Pure.
import { USER_SPACE_END } from '../arch/x86-64.ts';

/** Addresses from `start` up to `end`, exclusive. */
export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

/** Below lie null pointers and, with vm.mmap_min_addr, nothing that may be mapped. */
const FIRST_ADDRESS = 0x1000n;
/** Holes are looked for from here on: above executables that are not position-independent and their heaps. */
const SEARCH_FROM = 0x2000_0000n;
/** Distance to neighbours: a stack that grows down must not find ours in its guard gap. */
const MARGIN = 0x20_0000n;

const byStart = (a: Span, b: Span): number => (a.start < b.start ? -1 : 1);

/**
 * Finds room that none of the spans touches.
 *
 * @returns page-aligned start of `bytes` free bytes
 */
export function findHole(occupied: readonly Span[], bytes: bigint): bigint {
  let at = SEARCH_FROM;
  for (const span of [...occupied].sort(byStart)) {
    if (span.end + MARGIN <= at) continue;
    if (span.start >= at + bytes + MARGIN) break;
    at = span.end + MARGIN;
  }
  if (at + bytes > USER_SPACE_END) {
    throw new Error(`no hole of ${bytes} bytes is free both now and in the saved address space`);
  }
  return at;
}

/** What of the user's address space lies outside of the spans, which may overlap. */
export function complement(keep: readonly Span[]): Span[] {
  const rest: Span[] = [];
  let at = FIRST_ADDRESS;
  for (const { start, end } of [...keep].sort(byStart)) {
    if (start > at) rest.push({ start: at, end: start });
    if (end > at) at = end;
  }
  if (at < USER_SPACE_END) rest.push({ start: at, end: USER_SPACE_END });
  return rest;
}

/** What of the first spans lies outside of the second; both ascend. */
export function subtract(spans: readonly Span[], without: readonly Span[]): Span[] {
  const rest: Span[] = [];
  let first = 0;
  for (const span of spans) {
    let at = span.start;
    while (first < without.length && without[first]!.end <= span.start) first++;
    for (let i = first; i < without.length && without[i]!.start < span.end; i++) {
      const { start, end } = without[i]!;
      if (at < start) rest.push({ start: at, end: start });
      if (at < end) at = end;
    }
    if (at < span.end) rest.push({ start: at, end: span.end });
  }
  return rest;
}

export const overlaps = (a: Span, b: Span): boolean => a.start < b.end && b.start < a.end;

export const sizeOf = ({ start, end }: Span): bigint => end - start;
