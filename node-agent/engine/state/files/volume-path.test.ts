// Paths of files in volumes of the kubelet, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logicalPath, pathHere } from './volume-path.ts';

const SAVED = '/etc/config/..2026_11_27_18_20_01.3312489021/app.yaml';

test('the directory of a state becomes the link beside it', () => {
  assert.equal(logicalPath(SAVED), '/etc/config/..data/app.yaml');
  assert.equal(logicalPath('/etc/config/..2026_11_27_18_20_01.33'), '/etc/config/..data');
});

test('any other path is none of the kubelet', () => {
  for (const path of [
    '/etc/config/app.yaml',
    '/a/..data/b',
    '/a/..2026_11_27/b',
    '/a/x..2026_11_27_18_20_01.3/b',
  ])
    assert.equal(logicalPath(path), undefined, path);
});

test('what is there is taken as it was saved', () => {
  assert.equal(
    pathHere(SAVED, () => true),
    SAVED,
  );
  assert.equal(
    pathHere(SAVED, () => false),
    '/etc/config/..data/app.yaml',
  );
});
