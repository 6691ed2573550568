// Memory limits as /proc and the cgroup file systems write them down.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  enoughRoom,
  groupDirectories,
  headroomOf,
  LAST_ROOM_BYTES,
  memoryGroup,
  memoryHierarchy,
} from './headroom.ts';

const MIB = 1 << 20;

test('the memory group of a process, version 1 before 2', () => {
  const hybrid = '9:name=systemd:/\n4:cpu,memory:/pods/a:b\n0::/unified\n';
  assert.deepEqual(memoryGroup(hybrid), { path: '/pods/a:b', version: 1 });
  assert.deepEqual(memoryGroup('0::/kubepods/pod1/c1\n'), {
    path: '/kubepods/pod1/c1',
    version: 2,
  });
  assert.equal(memoryGroup('3:cpu:/\n'), undefined);
});

test('where the controller is mounted', () => {
  const mounts = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory',
    '41 31 0:38 /kubepods /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ].join('\n');
  assert.deepEqual(memoryHierarchy(mounts, 1), {
    mountPoint: '/sys/fs/cgroup/memory',
    root: '/',
    version: 1,
  });
  const unified = memoryHierarchy(mounts, 2)!;
  assert.equal(unified.root, '/kubepods');
  assert.deepEqual(groupDirectories(unified, '/kubepods/pod1/c1'), [
    '/sys/fs/cgroup/unified/pod1/c1',
    '/sys/fs/cgroup/unified/pod1',
    '/sys/fs/cgroup/unified',
  ]);
  assert.equal(memoryHierarchy('', 2), undefined);
});

function writeGroup(directory: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

test('the tightest group above counts, with its idle page cache as room', () => {
  const root = mkdtempSync(join(tmpdir(), 'diapause-cgroup-'));
  const pod = join(root, 'pod');
  const container = join(pod, 'container');
  writeGroup(root, { 'memory.stat': 'anon 1\n' });
  writeGroup(pod, {
    'memory.max': '1000\n',
    'memory.current': '900\n',
    'memory.stat': 'anon 800\ninactive_file 50\nactive_file 7\n',
  });
  writeGroup(container, { 'memory.max': 'max\n', 'memory.current': '800\n' });
  assert.equal(headroomOf([container, pod, root], 2), 150);
  assert.equal(headroomOf([container, root], 2), undefined);
  writeGroup(pod, { 'memory.current': '2000\n' });
  assert.equal(headroomOf([container, pod, root], 2), 0);
  const v1 = join(root, 'v1');
  writeGroup(v1, {
    'memory.limit_in_bytes': '9223372036854771712\n',
    'memory.usage_in_bytes': '5\n',
  });
  assert.equal(headroomOf([v1], 1), undefined);
  rmSync(root, { recursive: true });
});

test('room for a snapshot: a quarter of the memory, at least 64 MiB, at most all of it', () => {
  const enough = (roomMiB: number | undefined, anonymousMiB: number): boolean =>
    enoughRoom(
      roomMiB === undefined ? undefined : roomMiB * MIB + LAST_ROOM_BYTES,
      anonymousMiB * MIB,
    );
  assert.equal(enough(undefined, 100_000), true);
  assert.equal(enough(1, 1), true);
  assert.equal(enough(63, 100), false);
  assert.equal(enough(64, 100), true);
  assert.equal(enough(249, 1000), false);
  assert.equal(enough(250, 1000), true);
});
