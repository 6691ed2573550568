// Lines `lock:` of fdinfo, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockKind } from '../../image/messages/enums.ts';
import { parseLock } from './locks.ts';

const { POSIX, FLOCK, OFD, LEASE } = LockKind;

for (const [text, kind, type, pid, start, length] of [
  ['1: POSIX  ADVISORY  WRITE 1234 00:1e:77 10 14', POSIX, 1, 1234, 10n, 5n],
  ['2: POSIX  ADVISORY  READ 7 fe:01:18446744073709551615 100 EOF', POSIX, 0, 7, 100n, 0n],
  ['1: OFDLCK ADVISORY  WRITE -1 00:1e:77 0 0', OFD, 1, -1, 0n, 1n],
  ['3: FLOCK  ADVISORY  READ 0 00:1e:77 0 EOF', FLOCK, 0, 0, 0n, 0n],
  ['1: LEASE  ACTIVE    READ 9 00:1e:77 0 EOF', LEASE, 0, 9, 0n, 0n],
  ['1: LEASE  BREAKING  UNLCK 9 00:1e:77 0 EOF', LEASE, 6, 9, 0n, 0n],
  ['1: LEASE  BREAKING  READ 9 00:1e:77 0 EOF', LEASE, 4, 9, 0n, 0n],
] as const) {
  test(text, () => {
    assert.deepEqual(parseLock(text), { kind, type, pid, start, length });
  });
}

test('what no program takes is not understood', () => {
  assert.equal(parseLock('1: DELEG  ACTIVE    READ 9 00:1e:77 0 EOF'), undefined);
  assert.equal(parseLock('1: ACCESS ADVISORY  WRITE 9 00:1e:77 0 EOF'), undefined);
});
