import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CredsEntry } from '../image/messages/creds.ts';
import { isNarrower, obstacleTo, type Rights, sameRights } from './credential-reach.ts';

const [SETGID, SETUID, SETPCAP] = [1n << 6n, 1n << 7n, 1n << 8n];
const ALL = 0xffn | SETPCAP;

/** Root of an ordinary container. */
const ROOT: Rights = {
  uids: [0, 0, 0, 0],
  gids: [0, 0, 0, 0],
  groups: [0],
  capabilities: { inheritable: 0n, permitted: ALL, effective: ALL, bounding: ALL, ambient: 0n },
  noNewPrivileges: false,
};
const without = (set: bigint): Rights => ({
  ...ROOT,
  capabilities: { ...ROOT.capabilities, effective: ALL & ~set, permitted: ALL & ~set },
});

const words = (set: bigint): number[] => [Number(set), 0];
const SAVED: CredsEntry = {
  ...{ uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0 },
  ...{ capInh: words(0n), capPrm: words(ALL), capEff: words(ALL), capBnd: words(ALL) },
  ...{ capAmb: words(0n), secbits: 0, groups: [0], noNewPrivs: 0 },
};
const DROPPED: Partial<CredsEntry> = {
  ...{ uid: 999, euid: 999, suid: 999, fsuid: 999, gid: 99, egid: 99, sgid: 99, fsgid: 99 },
  ...{ capPrm: words(0n), capEff: words(0n), groups: [] },
};

const CASES: readonly (readonly [string, Partial<CredsEntry>, Rights, RegExp | undefined])[] = [
  ['the same', {}, ROOT, undefined],
  ['dropped', DROPPED, ROOT, undefined],
  ['dropped, no CAP_SETUID', DROPPED, without(SETUID), /users 999 .*CAP_SETUID/],
  ['dropped, no CAP_SETGID', DROPPED, without(SETGID), /groups 99 .*CAP_SETGID/],
  [
    'only groups',
    { ...DROPPED, ...{ uid: 0, euid: 0, suid: 0, fsuid: 0 }, gid: 0, egid: 0, sgid: 0, fsgid: 0 },
    without(SETGID),
    /supplementary/,
  ],
  ['more capabilities', {}, without(1n), /capabilities that the target lacks/],
  ['inheritable ones', { capInh: words(1n << 20n) }, ROOT, /inheritable/],
  ['fewer bounding ones', { ...DROPPED, capBnd: words(0n) }, ROOT, undefined],
  ['the same, no CAP_SETPCAP', { ...DROPPED, capBnd: words(0n) }, without(SETPCAP), /CAP_SETPCAP/],
  ['keeps its capabilities', { ...DROPPED, secbits: 16 }, without(SETPCAP), undefined],
  ['securebits', { ...DROPPED, secbits: 1 }, without(SETPCAP), /securebits/],
];

for (const [what, creds, now, obstacle] of CASES) {
  test(what, () => {
    const found = obstacleTo({ ...SAVED, ...creds }, now);
    if (obstacle) assert.match(found ?? '', obstacle);
    else assert.equal(found, undefined);
  });
}

test('rights that are the same need no change', () => {
  assert.ok(sameRights(SAVED, ROOT));
  assert.ok(!sameRights({ ...SAVED, ...DROPPED }, ROOT));
  assert.ok(!sameRights({ ...SAVED, noNewPrivs: 1 }, ROOT));
  assert.ok(isNarrower({ ...SAVED, capBnd: words(1n << 30n) }, ROOT));
});
