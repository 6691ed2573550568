// rewind, as a user types it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Restore } from '../crds/restore.ts';
import { RESTORE } from './kinds.ts';
import { condition } from './testing/objects.ts';
import { NAMESPACE, TestCluster } from './testing/program.ts';

describe('kubectl diapause rewind', () => {
  it('asks for a Restore into the running pod, follows, and says so', async () => {
    await using cluster = await TestCluster.start();
    const words = 'rewind pod/redis chk/redis-1 --uid u-1 --timeout 90s --name undo';
    const program = cluster.start(...words.split(' '));
    await program.says('created');
    const ref = { namespace: NAMESPACE, name: 'undo' };
    assert.deepEqual(cluster.server.peek<Restore>(RESTORE.type, ref)?.spec, {
      checkpointRef: { name: 'redis-1' },
      target: { type: 'InPlace', inPlace: { podRef: { name: 'redis', uid: 'u-1' } } },
      timeoutSeconds: 90,
    });
    const conditions = [condition('Ready', 'True', 'Completed')];
    const status = { conditions, pod: { name: 'redis' }, timing: { restoreMillis: 21.4 } };
    const restores = cluster.server.client().resource<Restore>(RESTORE.type);
    await restores.mergePatchStatus(ref, { status });
    const { code, stdout } = await program.finished();
    assert.equal(
      stdout,
      'restore.diapause.dev/undo ready: pod redis goes on where it was saved, processes rebuilt in 21ms\n',
    );
    assert.equal(code, 0);
  });
});
