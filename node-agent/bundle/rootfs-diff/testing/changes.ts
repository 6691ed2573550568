// What an application may do to its root file system, and the comparison of two of them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { setXattr } from '../native.ts';
import { rawPath } from '../raw-path.ts';
import { snapshotTree } from './snapshot-tree.ts';

/** Everything an application may do to its root file system. */
export function change(root: string): void {
  const at = (name: string): string => `${root}/${name}`;
  fs.writeFileSync(at('data/changed'), 'new content');
  fs.rmSync(at('data/deleted'));
  fs.rmSync(at('gone-dir'), { recursive: true });
  fs.rmSync(at('opaque'), { recursive: true });
  fs.mkdirSync(at('opaque/kept'), { recursive: true });
  fs.writeFileSync(at('opaque/kept/new'), 'n');
  fs.rmSync(at('replaced-by-file'), { recursive: true });
  fs.writeFileSync(at('replaced-by-file'), 'now a file');
  fs.rmSync(at('replaced-by-dir'));
  fs.mkdirSync(at('replaced-by-dir'));
  fs.chmodSync(at('usr/only-mode'), 0o4751);
  fs.writeFileSync(at('etc/hosts'), 'of the pod');
  fs.mkdirSync(at('new'), { mode: 0o1777 });
  fs.writeFileSync(at('new/a'), 'two names');
  fs.linkSync(at('new/a'), at('new/b'));
  fs.symlinkSync('/etc/passwd', at('new/absolute'));
  fs.symlinkSync('../data/changed', at('new/relative'));
  fs.symlinkSync('/old', at('new/to-a-mount'));
  execFileSync('mkfifo', ['-m', '640', at('new/fifo')]);
  fs.writeFileSync(at('new/owned'), '');
  fs.chownSync(at('new/owned'), 70_000, 3_000_000);
  fs.chmodSync(at('new/owned'), 0o2755);
  setXattr(at('new/owned'), 'user.note', Buffer.from([0, 255, 10, 61, 128]));
  setXattr(at('new/owned'), 'security.capability', CAP_NET_RAW);
  setXattr(at('new'), 'user.of-directory', Buffer.from('x'));
  const long = `new/${'long-'.repeat(24)}`;
  fs.mkdirSync(at(long));
  fs.writeFileSync(at(`${long}/${'name-'.repeat(30)}`), 'long');
  fs.writeFileSync(rawPath(at('new/\xff\xfe odd')), 'not utf-8');
  fs.writeFileSync(at('new/grüße\nzwei'), 'utf-8');
  writeSparse(at('new/sparse'));
  fs.writeFileSync(at('new/big'), Buffer.alloc(5_000_001, 'xyz'));
  fs.lutimesSync(at('new/absolute'), 1, 1_000_000.5);
  fs.utimesSync(at('new/a'), 1, -5.25);
  fs.utimesSync(at('new'), 1, 1_234_567_890.123);
}

const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** 64 MiB with two words in them. */
export function writeSparse(path: string): void {
  const fd = fs.openSync(path, 'w');
  fs.writeSync(fd, 'begin', 0);
  fs.writeSync(fd, 'middle', 20 << 20);
  fs.ftruncateSync(fd, 64 << 20);
  fs.closeSync(fd);
}

export const SKIP_IN_SNAPSHOT = ['old', 'etc/hosts', 'init'];

export function assertSameTree(actualRoot: string, expectedRoot: string, message: string): void {
  const actual = new Set(snapshotTree(actualRoot, SKIP_IN_SNAPSHOT));
  const expected = new Set(snapshotTree(expectedRoot, SKIP_IN_SNAPSHOT));
  assert.ok(expected.size > 12);
  assert.deepEqual([...expected.difference(actual)], [], `${message}: missing`);
  assert.deepEqual([...actual.difference(expected)], [], `${message}: too much`);
}
