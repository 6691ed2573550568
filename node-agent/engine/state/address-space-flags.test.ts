// What /proc says of locked memory, and whether new mappings are locked; where policies may be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNumaMaps } from '../linux/procfs/numa-maps.ts';
import { MAP } from '../memory/area.ts';
import { lockedToCome } from './address-space-flags.ts';

const MCL_FUTURE = 2;
const MCL_ONFAULT = 4;
const area = (bytes: bigint, flags: number) => ({ start: 0x1000n, end: 0x1000n + bytes, flags });
const LOCKED = area(0x4000n, MAP.PRIVATE | MAP.LOCKED);
const OTHERS = [area(0x8000n, MAP.PRIVATE), area(0x200000n, MAP.LOCKED | MAP.HUGETLB)];
const ours = { bytes: 0x10000n, touched: true };

test('the interpreter is locked when everything new is', () => {
  assert.equal(lockedToCome(0n, OTHERS, ours), 0);
  assert.equal(lockedToCome(0x4000n, [...OTHERS, LOCKED], ours), 0);
  assert.equal(lockedToCome(0x14000n, [...OTHERS, LOCKED], ours), MCL_FUTURE);
  const untouched = { ...ours, touched: false };
  assert.equal(lockedToCome(0x10000n, OTHERS, untouched), MCL_FUTURE | MCL_ONFAULT);
});

test('another sum means that something else was locked meanwhile', () => {
  assert.equal(lockedToCome(0x11000n, OTHERS, ours), 0);
  assert.equal(lockedToCome(0x20000n, [...OTHERS, LOCKED], ours), 0);
});

test('areas with a policy in numa_maps', () => {
  const text = [
    '00400000 default file=/usr/bin/x mapped=2 N0=2 kernelpagesize_kB=4',
    '7f0000001000 bind:0 anon=1 dirty=1 N0=1',
    '7f0000002000 interleave=relative:0-1',
    '7f0000003000 default',
    '7f0000004000 local',
    '',
  ];
  const starts = [0x7f0000001000n, 0x7f0000002000n, 0x7f0000004000n];
  assert.deepEqual(parseNumaMaps(text.join('\n')), starts);
});
