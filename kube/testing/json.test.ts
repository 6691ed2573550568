import assert from 'node:assert/strict';
import { it } from 'node:test';
import { JsonPatchFailed, jsonPatch, mergePatch } from './json.ts';

it('merges as RFC 7386 says', () => {
  const target = { a: { b: 1, c: 2 }, d: [1, 2] };
  assert.deepEqual(mergePatch(target, { a: { b: null, x: 3 }, d: [9] }), {
    a: { c: 2, x: 3 },
    d: [9],
  });
  assert.deepEqual(mergePatch(target, { a: { b: { n: null } } }), {
    a: { b: {}, c: 2 },
    d: [1, 2],
  });
  assert.deepEqual(target, { a: { b: 1, c: 2 }, d: [1, 2] });
});

it('patches as RFC 6902 says', () => {
  const target = { 'a/b': { 'c~d': 1 }, list: ['x', 'y'] };
  assert.deepEqual(
    jsonPatch(target, [
      { op: 'test', path: '/a~1b/c~0d', value: 1 },
      { op: 'replace', path: '/a~1b/c~0d', value: 2 },
      { op: 'remove', path: '/list/0' },
      { op: 'add', path: '/list/-', value: 'z' },
      { op: 'add', path: '/new', value: {} },
    ]),
    { 'a/b': { 'c~d': 2 }, list: ['y', 'z'], new: {} },
  );
  for (const operation of [
    { op: 'test', path: '/list/0', value: 'y' },
    { op: 'remove', path: '/none' },
    { op: 'replace', path: '/none/deeper', value: 1 },
  ]) {
    assert.throws(() => jsonPatch(target, [operation]), JsonPatchFailed);
  }
});
