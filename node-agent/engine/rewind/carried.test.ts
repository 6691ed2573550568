// What a program has read and written since it was saved, and what that means for its connections. Pure.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CarriedEntry } from '../state/files/carried-connections.ts';
import { positionOf } from '../state/files/tcp-position.ts';
import { TCP_STATE } from '../state/files/tcp-state.ts';
import { judgeCarried } from './carried.ts';

const SAVED = { cookie: 7n, written: 100n, read: 50n };
const ENTRY = {
  srcAddr: [0x0500000a],
  srcPort: 6379,
  dstAddr: [0x0900000a],
  dstPort: 40404,
  position: SAVED,
} as unknown as CarriedEntry;

test('a connection goes on where the program stood, or has ended; else it is refused by its addresses', () => {
  const judge = (now?: typeof SAVED) =>
    judgeCarried([ENTRY], new Map(now ? [[now.cookie, now]] : []));
  assert.deepEqual(judge(SAVED), []);
  assert.deepEqual(judge(), []);
  assert.deepEqual(judge({ ...SAVED, cookie: 8n, written: 0n }), [], 'another socket');
  for (const [now, says] of [
    [{ ...SAVED, written: 101n }, /written 1 and read 0 bytes/],
    [{ ...SAVED, read: 60n }, /written 0 and read 10 bytes/],
  ] as const) {
    const [found] = judge(now);
    assert.equal(found?.code, 'ConnectionMoved');
    assert.equal(found.severity, 'refusal');
    assert.equal(found.object, 'connection 10.0.0.5:6379 -> 10.0.0.9:40404');
    assert.match(found.advice, says);
  }
});

test('neither what arrives nor what is acknowledged moves a program', () => {
  const { ESTABLISHED, CLOSE_WAIT } = TCP_STATE;
  const at = (
    state: number,
    acknowledged: bigint,
    received: bigint,
    pending: number,
    unread: number,
  ) => positionOf(7n, { state, acknowledged, received }, { unacknowledged: pending, unread });
  assert.deepEqual(at(ESTABLISHED, 100n, 50n, 0, 0), SAVED);
  assert.deepEqual(at(ESTABLISHED, 90n, 50n, 10, 0), SAVED, 'not acknowledged yet');
  assert.deepEqual(at(ESTABLISHED, 100n, 80n, 0, 30), SAVED, 'unread');
  assert.deepEqual(
    at(CLOSE_WAIT, 100n, 81n, 0, 30),
    SAVED,
    'the end of the other stream is no byte',
  );
  assert.notDeepEqual(at(ESTABLISHED, 90n, 50n, 11, 0), SAVED, 'written');
  assert.notDeepEqual(at(ESTABLISHED, 100n, 80n, 0, 29), SAVED, 'read');
});
