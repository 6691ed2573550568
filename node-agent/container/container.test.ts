// The parsers and pure checks of this folder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertOwnCgroup, belongsToContainer, groupDirectories, parseCgroup } from './cgroups.ts';
import { parseContainerId } from './container-id.ts';
import { applicationMounts, overlayLayers, parseMountinfo, rootMount } from './mounts.ts';
import { refusalsOfPod } from './pod-checks.ts';

const ID = '0123456789abcdef'.repeat(4);

test('only a runtime and 64 hex digits are a container id', () => {
  assert.deepEqual(parseContainerId(`containerd://${ID}`, 'app'), {
    runtime: 'containerd',
    hex: ID,
  });
  for (const text of [
    '',
    'containerd://',
    ID,
    `containerd://${ID}0`,
    `containerd://${ID.slice(1)}`,
  ]) {
    assert.throws(() => parseContainerId(text, 'app'), { code: 'ContainerMismatch' });
  }
  assert.throws(() => parseContainerId(`containerd://${ID.toUpperCase()}`, 'app'));
  assert.throws(() => parseContainerId(`containerd://${ID}\n`, 'app'));
});

const MOUNTINFO = [
  `600 500 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l/2\\054x:/l/1,upperdir=/l/3/fs,workdir=/l/3/work`,
  '601 600 0:51 / /proc rw - proc proc rw',
  '602 600 0:52 / /dev rw,nosuid - tmpfs tmpfs rw',
  '603 600 8:1 /pods/x/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw',
  '604 600 8:1 /with\\040space /data/a\\040b ro - ext4 /dev/sda1 rw',
  '',
].join('\n');

test('mounts are read with the kernel’s escapes', () => {
  const mounts = parseMountinfo(MOUNTINFO);
  assert.equal(mounts.length, 5);
  assert.deepEqual(applicationMounts(mounts, []), ['/data/a b']);
  const root = rootMount(mounts);
  assert.equal(root?.layers?.upper, '/l/3/fs');
  assert.equal(root?.readOnly, false);
});

test('a later mount on / hides the earlier one', () => {
  const root = rootMount(parseMountinfo(`${MOUNTINFO}700 600 0:60 / / ro - tmpfs tmpfs rw`));
  assert.deepEqual(root, { fsType: 'tmpfs', readOnly: true, layers: undefined });
});

test('overlay layers: joined, appended, relative, none', () => {
  assert.deepEqual(overlayLayers(['lowerdir=/a:/b', 'upperdir=/c']), {
    upper: '/c',
    lowers: ['/a', '/b'],
  });
  assert.deepEqual(overlayLayers(['lowerdir+=/a:1', 'lowerdir+=/b', 'upperdir=/c'])?.lowers, [
    '/a:1',
    '/b',
  ]);
  assert.deepEqual(overlayLayers(['lowerdir=l/A:l/B', 'upperdir=/var/overlay/xyz/diff'])?.lowers, [
    '/var/overlay/l/A',
    '/var/overlay/l/B',
  ]);
  assert.equal(overlayLayers(['lowerdir=/a:/b']), undefined);
});

test('control groups of every driver are recognised, those of others are not', () => {
  for (const path of [
    `/kubepods/burstable/pod1/${ID}`,
    `/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`,
    `/kubepods.slice/kubepods-pod1.slice/crio-${ID}.scope/container`,
    `/system.slice/kubepods-pod1.slice:cri-containerd:${ID}`,
  ]) {
    assert.ok(belongsToContainer(path, ID), path);
  }
  const other = parseCgroup(`2:freezer:/kubepods/pod1/${'f'.repeat(64)}\n0::/init.scope\n`);
  assert.throws(() => assertOwnCgroup(other, ID), { code: 'ContainerMismatch' });
  // The pod's group is not the container's: it holds its neighbours, too.
  assert.ok(!belongsToContainer(`/kubepods/${ID}/a/b`, ID));
  const outside = parseCgroup(`0::/../../kubepods/pod1/${ID}\n`);
  assert.throws(() => assertOwnCgroup(outside, ID), { message: /privileged/ });
});

test('group folders are found through the node’s mounts, nested ones included', () => {
  const memberships = parseCgroup(
    `6:freezer:/outer/node/kubepods/${ID}\n0::/outer/node/kubepods/${ID}\n`,
  );
  const mounts = parseMountinfo(
    [
      '1 0 0:1 /outer/node /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer',
      '2 0 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  );
  assert.deepEqual(groupDirectories(memberships, 'freezer', mounts, '/proc/1/root'), [
    { version: 1, path: `/proc/1/root/sys/fs/cgroup/freezer/kubepods/${ID}` },
    { version: 2, path: `/proc/1/root/sys/fs/cgroup/unified/outer/node/kubepods/${ID}` },
  ]);
});

test('properties of a pod that stand in the way are all told', () => {
  assert.deepEqual(refusalsOfPod({ spec: {} }), []);
  assert.deepEqual(refusalsOfPod(null), []);
  const codes = refusalsOfPod({
    metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } },
    spec: { hostPID: true, hostIPC: true, hostUsers: false, runtimeClassName: 'kata-qemu' },
    status: {
      ephemeralContainerStatuses: [{ name: 'debug', state: { running: {} } }, { name: 'old' }],
    },
  }).map(({ code }) => code);
  assert.deepEqual(codes, [
    'HostPid',
    'HostIpc',
    'UserNamespace',
    'RuntimeClass',
    'MirrorPod',
    'EphemeralContainer',
  ]);
});
