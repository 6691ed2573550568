// Layer contents: paths as Debian's merged /usr has them, links, parents.
import assert from 'node:assert/strict';
import test from 'node:test';
import { canonicalPath, FileTree } from './file-tree.ts';

test('paths of packages and of binaries meet below /usr', () => {
  assert.equal(canonicalPath('./lib/x/libc.so.6'), '/usr/lib/x/libc.so.6');
  assert.equal(canonicalPath('/usr/lib/x/libc.so.6'), '/usr/lib/x/libc.so.6');
  assert.equal(canonicalPath('/lib64'), '/usr/lib64');
  assert.equal(canonicalPath('/library/a'), '/library/a');
  assert.equal(canonicalPath('/a/./b//../c'), '/a/c');
  assert.equal(canonicalPath('/../../etc'), '/etc');
});

test('parents come into being, and before what they hold', () => {
  const tree = new FileTree();
  tree.addDirectory('/a', 0o700);
  tree.addFile('/a/b/c', 'x');
  assert.deepEqual(
    tree.sorted().map(([path, entry]) => [path, entry.type === 'directory' ? entry.mode : 0]),
    [
      ['/a', 0o700],
      ['/a/b', 0o755],
      ['/a/b/c', 0],
    ],
  );
});

test('a chain of links is followed to its file, a loop is not', () => {
  const tree = new FileTree();
  tree.addFile('/lib/real.so.1.2', 'x');
  tree.add('/lib/real.so.1', { type: 'symlink', target: 'real.so.1.2' });
  tree.add('/lib64/ld.so', { type: 'symlink', target: '/lib/real.so.1' });
  tree.add('/loop', { type: 'symlink', target: 'loop' });
  assert.deepEqual(tree.chain('/lib64/ld.so'), [
    '/usr/lib64/ld.so',
    '/usr/lib/real.so.1',
    '/usr/lib/real.so.1.2',
  ]);
  assert.deepEqual(tree.chain('/loop'), []);
  assert.deepEqual(tree.chain('/nowhere'), []);
});

test('a filtered tree keeps the modes of the directories it still needs', () => {
  const tree = new FileTree();
  tree.addDirectory('/data', 0o1777);
  tree.addFile('/data/wanted', 'x');
  tree.addFile('/data/unwanted', 'x');
  const kept = tree.filter((path) => path === '/data/wanted').sorted();
  assert.deepEqual(
    kept.map(([path]) => path),
    ['/data', '/data/wanted'],
  );
  assert.deepEqual(kept[0]?.[1], { type: 'directory', mode: 0o1777 });
});
