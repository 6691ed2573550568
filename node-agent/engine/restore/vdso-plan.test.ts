// Where the functions of one vDSO lead in another: this kernel's own, with symbols that were moved, renamed and damaged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownVdso } from '../memory/vdso.ts';
import { codeOf, planDetours } from './vdso-bridge.ts';
import { functionsOf } from './vdso-symbols.ts';

const own = ownVdso()!.bytes;
const functions = functionsOf(own)!;
const named = (name: string) => functions.find(({ names }) => names.has(name))!;
const SYMBOL_BYTES = 24;

/** Changes the symbols (value at 8, size at 16) that stand for an offset. */
function changeSymbols(offset: number, change: (vdso: Buffer, at: number) => void): Buffer {
  const vdso = Buffer.from(own);
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(offset));
  for (let at = vdso.indexOf(value); at >= 0; at = vdso.indexOf(value, at + SYMBOL_BYTES)) {
    if (at % 8 === 0 && (vdso.readUInt8(at - 4) & 0xf) === 2) change(vdso, at - 8);
  }
  return vdso;
}

test('the functions that every vDSO has', () => {
  for (const name of ['clock_gettime', 'gettimeofday', 'time', 'getcpu', 'clock_getres']) {
    const found = named(name);
    assert.ok(found.offset > 0 && found.bytes >= 12, name);
  }
});

test('a function leads to where it is here', () => {
  const { offset } = named('clock_gettime');
  const moved = changeSymbols(offset, (vdso, at) => {
    vdso.writeBigUInt64LE(BigInt(offset + 32), at + 8);
  });
  assert.deepEqual(planDetours(moved, own)?.get(offset + 32), { kind: 'jump', offset });
  assert.deepEqual(planDetours(own, moved)?.get(offset), { kind: 'jump', offset: offset + 32 });
});

test('a function that is not here makes its call, one without a call refuses', () => {
  const { offset } = named('getcpu');
  const rename = (text: string): Buffer => {
    const vdso = Buffer.from(own);
    for (let at = vdso.indexOf('getcpu\0'); at >= 0; at = vdso.indexOf('getcpu\0', at + 1)) {
      vdso.write(text, at, 'latin1');
    }
    return vdso;
  };
  assert.deepEqual(planDetours(own, rename('gotcpu'))?.get(offset), { kind: 'call', nr: 309 });
  assert.deepEqual(planDetours(rename('gotcpu'), own)?.get(offset), { kind: 'refuse' });
});

test('random bytes come from the call: their state is laid out by the old kernel', (t) => {
  const random = functions.find(({ names }) => names.has('getrandom'));
  if (!random) return t.skip('this kernel has no getrandom in its vDSO (before Linux 6.11)');
  assert.deepEqual(planDetours(own, own)?.get(random.offset), { kind: 'call', nr: 318 });
});

test('nothing is planned where a detour has no room, or the image makes no sense', () => {
  const { offset } = named('time');
  const small = changeSymbols(offset, (vdso, at) => {
    vdso.writeBigUInt64LE(11n, at + 16);
  });
  assert.equal(planDetours(small, own), undefined);
  const outside = changeSymbols(offset, (vdso, at) => {
    vdso.writeBigUInt64LE(BigInt(own.length + 64), at + 8);
  });
  assert.equal(planDetours(outside, own), undefined);
  assert.equal(planDetours(Buffer.alloc(own.length), own), undefined);
  assert.equal(planDetours(own.subarray(0, 60), own), undefined);
  for (let at = 0; at < 1500; at++) {
    const damaged = Buffer.from(own);
    damaged.fill(0xff, at, at + 8);
    assert.doesNotThrow(() => planDetours(damaged, own));
  }
});

test('machine code', () => {
  const jump = codeOf({ kind: 'jump', offset: 0x10 }, 0x7ffd12345000n);
  assert.equal(jump.toString('hex'), '48b810503412fd7f0000ffe0');
  assert.equal(codeOf({ kind: 'call', nr: 228 }, 0n).toString('hex'), 'b8e40000000f05c3');
  assert.equal(codeOf({ kind: 'refuse' }, 0n).toString('hex'), '48c7c0daffffffc3');
});
