// CRIU's fields of the XSAVE area and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { userX86FpregsEntry } from '../image/messages/core-x86.ts';
import { fromFpregs, toFpregs } from './xstate.ts';

test('x87, SSE and AVX survive the way through the messages', () => {
  const area = Buffer.alloc(2432);
  for (let i = 0; i < 416; i++) area[i] = (i * 7 + 3) & 0xff;
  for (let i = 576; i < 832; i++) area[i] = (i * 5 + 1) & 0xff;
  area.writeUInt16LE(0x37f, 0);
  area.writeUInt16LE(0xff, 4);
  area.writeBigUInt64LE(7n, 464);
  area.writeBigUInt64LE(7n, 512);
  const message = userX86FpregsEntry.complete(toFpregs(area));
  const decoded = userX86FpregsEntry.decode(userX86FpregsEntry.encode(message));
  const current = Buffer.alloc(2432);
  current.writeBigUInt64LE(7n, 464);
  const back = fromFpregs(decoded, current);
  assert.deepEqual(back.subarray(0, 416), area.subarray(0, 416));
  assert.deepEqual(back.subarray(512, 832), area.subarray(512, 832));
});
