// What the kernel writes about the watches of an epoll set.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWatches } from './epoll.ts';
import { fdInfoValues, parseFdInfo } from './fdinfo.ts';

const TEXT = `pos:	0
flags:	02000002
mnt_id:	15
ino:	1057
tfd:       60 events:       19 data: feedfacecafebeef  pos:0 ino:2a sdev:d
tfd:        5 events: 80000019 data:                5  pos:0 ino:421 sdev:f
tfd:       60 events:       1d data:               3c  pos:-1 ino:2b sdev:d
`;

test('flags, position and close-on-exec are told apart', () => {
  const info = parseFdInfo(TEXT);
  assert.equal(info.flags, 2);
  assert.equal(info.closeOnExec, true);
  assert.equal(info.pos, 0n);
  assert.equal(info.mountId, 15);
});

test('watches under one number are counted in the order of the kernel', () => {
  const watches = parseWatches(fdInfoValues(parseFdInfo(TEXT), 'tfd'));
  assert.deepEqual(
    watches.map(({ number, index, ino, dev }) => [number, index, ino, dev]),
    [
      [60, 0, 0x2an, 13],
      [5, 0, 0x421n, 15],
      [60, 1, 0x2bn, 13],
    ],
  );
  assert.equal(watches[0]?.data, 0xfeedfacecafebeefn);
  assert.equal(watches[1]?.events, 0x80000019);
  assert.equal(watches[2]?.pos, 0xffffffffffffffffn);
});

test('a kernel that does not tell inodes is understood', () => {
  const [watch] = parseWatches(['7 events: 19 data: 7']);
  assert.deepEqual([watch?.number, watch?.ino], [7, 0n]);
  assert.throws(() => parseWatches(['seven']), /epoll/);
});
