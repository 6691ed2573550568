// The small files, as their readers parse them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ProcessHandle } from '../container/process-handle.ts';
import { writeMetadata } from './metadata.ts';
import { makeVolume } from './testing/volume.ts';

const ID = 'ab'.repeat(32);

test('times, image and mounts are told in the shape of the runtimes', async () => {
  await using volume = await makeVolume();
  using self = ProcessHandle.open(process.pid);
  assert.ok(self !== undefined);
  await writeMetadata(
    volume.root,
    {
      name: 'app',
      imageID: 'sha256:1',
      id: { runtime: 'containerd', hex: ID },
      process: self,
      innerPid: 1,
      mounts: [],
      root: { fsType: 'overlay', readOnly: false, layers: undefined },
      cgroup: {
        freezerFile: undefined,
        memoryLimitBytes: undefined,
        anonymousBytes: undefined,
        pidsLimit: undefined,
      },
      runtime: {
        pid: self.pid,
        sandboxId: undefined,
        runtimeType: 'io.containerd.runc.v2',
        status: {
          id: ID,
          state: 1,
          created_at: '1795491636430215125',
          started_at: '1795491636488412691',
          image: { image: 'docker.io/library/redis:7' },
          image_ref: 'sha256:2',
        },
        spec: {
          annotations: { 'io.kubernetes.cri.container-name': 'app' },
          mounts: [
            { destination: '/etc/hosts', type: 'bind', source: '/etc/hosts' },
            { destination: '/data', type: 'bind', source: '/tmp' },
            { destination: '/proc', type: 'proc', source: 'proc' },
          ],
        },
      },
      [Symbol.dispose]: () => undefined,
    },
    { frozenAtMillis: 1_795_491_700_000, nodeRoot: '' },
  );
  const read = (name: string): string => readFileSync(`${volume.path}/${name}`, 'utf8');
  const config = JSON.parse(read('config.dump')) as Record<string, unknown>;
  assert.equal(config['id'], ID);
  assert.equal(config['rootfsImageName'], 'docker.io/library/redis:7');
  assert.equal(config['createdTime'], '2026-11-24T03:40:36.430Z');
  assert.equal(config['checkpointedTime'], '2026-11-24T03:41:40.000Z');
  assert.match(read('status.dump'), /"created_at":1795491636430215125,/);
  assert.match(read('status'), /"CreatedAt":1795491636430215125,/);
  assert.deepEqual(
    (JSON.parse(read('bind.mounts')) as { destination: string; file_type: string }[]).map(
      ({ destination, file_type: type }) => [destination, type],
    ),
    [
      ['/etc/hosts', 'file'],
      ['/data', 'directory'],
    ],
  );
  assert.match(read('spec.dump'), /io.kubernetes.cri.container-name/);
});
