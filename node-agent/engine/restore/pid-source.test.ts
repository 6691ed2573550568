// Which ids one batch of births may give.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, SetTid } from './pid-source.ts';

const counted = (id: number, before: number): boolean => id === before + 1;

test('where the kernel counts on by itself, ids that follow one another are born together', () => {
  assert.deepEqual(cut([5, 6, 7, 9, 10, 4], counted), [[5, 6, 7], [9, 10], [4]]);
  assert.deepEqual(cut([], counted), []);
});

test('where the kernel gives any id, all are, up to a limit', () => {
  const ids = Array.from({ length: 300 }, (_, i) => 1000 - 2 * i);
  const parts = new SetTid().together(ids);
  assert.deepEqual(
    parts.map((part) => part.length),
    [128, 128, 44],
  );
  assert.deepEqual(parts.flat(), ids);
});
