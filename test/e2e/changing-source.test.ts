// Sources that change, and minds that change, while a Checkpoint is at work.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointSpec } from '../../crds/checkpoint.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertUnharmed } from './testing/expectations.ts';
import { bundleName, isReady, Scene, verdict } from './testing/scene.ts';
import { ballast } from './testing/witness.ts';

const cluster = connect();

describe('what changes while a pod is saved', { concurrency: true }, () => {
  it('a second Checkpoint of the pod waits for the first, and both are whole', async () => {
    await using scene = await Scene.create(cluster, 'queue');
    await scene.run(ballast(200));
    const spec: CheckpointSpec = { source: { pod: { name: 'ballast' } } };
    const named = (name: string) => ({
      apiVersion: API_VERSION,
      kind: 'Checkpoint',
      metadata: { name },
      spec,
    });
    await scene.kubectl.apply(toYaml(named('first'), named('second')));
    const reasons = new Set<string>();
    await eventually(
      'both are ready',
      async () => {
        const { items } = await cluster.checkpoints.list({ namespace: scene.namespace });
        for (const one of items) {
          reasons.add(verdict(one).split(':')[0] ?? '');
        }
        return items.filter(isReady).length;
      },
      (ready) => ready === 2,
    );
    // Applied in the same second: which of them comes first is up to chance.
    assert.ok(reasons.has('Queued'), [...reasons].join());
    const both = await Promise.all(
      ['first', 'second'].map((name) => scene.settledCheckpoint(name)),
    );
    const times = both
      .map(({ status }) => ({
        from: Date.parse(status?.timing?.frozenAt ?? ''),
        until: Date.parse(status?.timing?.completionTime ?? ''),
      }))
      .toSorted((a, b) => a.from - b.from);
    // Times of completion are whole seconds.
    assert.ok((times[1]?.from ?? 0) + 1000 >= (times[0]?.until ?? Infinity), JSON.stringify(times));
    await scene.untilNothingIsLeft(both.map(bundleName));
  });

  it('a pod that is deleted in the middle ends it, and leaves nothing', async () => {
    await using scene = await Scene.create(cluster, 'deleted');
    await scene.run(ballast(400));
    await scene.checkpoint('one', 'ballast');
    const read = () => cluster.checkpoints.get({ namespace: scene.namespace, name: 'one' });
    await eventually(
      'pages are written',
      read,
      ({ status }) => (status?.progress?.bytesDone ?? 0) > 0,
    );
    await scene.kubectl.run(['delete', 'pod', 'ballast', '--force', '--grace-period=0']);
    const ended = await scene.settledCheckpoint('one');
    // Its snapshot is a process of its own: a pod whose memory was taken already may be saved to the end.
    if (!isReady(ended)) {
      assertFailed(ended, /^PodDeleted: /);
      await scene.untilNothingIsLeft([]);
    }
  });

  it('a deadline that passes lets the pod go on', async () => {
    await using scene = await Scene.create(cluster, 'deadline');
    const [source] = await scene.run(ballast(1000));
    assert.ok(source);
    await scene.checkpoint('one', 'ballast', { limits: { timeoutSeconds: 5 } });
    const ended = await scene.settledCheckpoint('one');
    if (!isReady(ended)) {
      assertFailed(ended, /^TimedOut: /);
      await scene.untilNothingIsLeft([]);
    }
    assertUnharmed(source, await scene.pod('ballast'));
  });

  it('a Checkpoint that is cancelled lets the pod go on', async () => {
    await using scene = await Scene.create(cluster, 'cancel');
    const [source] = await scene.run(ballast(1500));
    assert.ok(source);
    await scene.checkpoint('one', 'ballast');
    const read = () => cluster.checkpoints.get({ namespace: scene.namespace, name: 'one' });
    await eventually('it has begun', read, ({ status }) => status?.progress !== undefined);
    const cancel = '{"spec":{"cancel":true}}';
    await scene.kubectl.run(['patch', 'chk/one', '--type=merge', '-p', cancel]);
    assertFailed(await scene.settledCheckpoint('one'), /^Canceled: /);
    await scene.untilNothingIsLeft([]);
    assertUnharmed(source, await scene.pod('ballast'));
  });
});
