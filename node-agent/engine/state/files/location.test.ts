// Where an open file stands, from the text of its link and what the names lead to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FileStat, S } from '../../linux/file-facts.ts';
import { locate } from './location.ts';

const never = { seconds: 0n, nanos: 0 };
const file = (ino: bigint, links = 1): FileStat => ({
  dev: 1,
  ino,
  mode: S.IFREG | 0o600,
  links,
  uid: 0,
  gid: 0,
  size: 0n,
  allocated: 0n,
  rdevMajor: 0,
  rdevMinor: 0,
  accessed: never,
  modified: never,
});

const names =
  (tree: Readonly<Record<string, FileStat>>) =>
  (path: string): FileStat | undefined =>
    tree[path];

test('a file stands where its name leads to it', () => {
  const found = locate('/a', file(1n), names({ '/a': file(1n) }));
  assert.deepEqual(found, { name: '/a', state: 'present' });
});

test('a file may truly be called "deleted"', () => {
  const found = locate('/a (deleted)', file(1n), names({ '/a (deleted)': file(1n) }));
  assert.deepEqual(found, { name: '/a (deleted)', state: 'present' });
});

test('an unlinked file is a ghost under its old name, whoever has that name now', () => {
  const gone = file(1n, 0);
  const expected = { name: '/a', state: 'unlinked' };
  assert.deepEqual(locate('/a (deleted)', gone, names({})), expected);
  assert.deepEqual(locate('/a (deleted)', gone, names({ '/a': file(2n) })), expected);
});

test('a name that came back to the same file is its name', () => {
  const found = locate('/a (deleted)', file(1n), names({ '/a': file(1n) }));
  assert.deepEqual(found, { name: '/a', state: 'present' });
});

test('a file that lives on under another name is no ghost', () => {
  const found = locate('/a (deleted)', file(1n), names({ '/a': file(2n) }));
  assert.deepEqual(found, { name: '/a', state: 'other-name' });
});

test('a name that leads elsewhere without ever being removed is covered', () => {
  assert.deepEqual(locate('/a', file(1n), names({ '/a': file(2n) })).state, 'hidden');
  assert.deepEqual(locate('/a', file(1n), names({})).state, 'hidden');
});
