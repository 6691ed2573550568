// Migrations on the real cluster: a pod moves and knows everything it knew, or stays where it was as if nothing had been.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { futex, judgeMoved, judgeWaiting } from '../../deploy/demo/futex.ts';
import { pod as sketchedPod, toYaml } from '../../deploy/demo/manifests.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { isPodReady, type Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertHolds, assertUnharmed } from './testing/expectations.ts';
import { beats, isOver, migrate, untilMigration } from './testing/migrations.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, witness, WITNESS_IMAGE } from './testing/witness.ts';

const cluster = connect();
const app = futex();
const KEYS = 20_000;

/** @returns the pod that took over */
async function moved(scene: Scene, name: string): Promise<Pod> {
  const migration = await untilMigration(scene, name, 'ends', isOver);
  assert.match(verdict(migration), /^Completed: /, JSON.stringify(migration.status));
  const { target, source, downtimeMillis = -1 } = migration.status ?? {};
  assert.ok(downtimeMillis > 0 && downtimeMillis < 60_000, `downtime ${downtimeMillis}`);
  const successor = await scene.pod(target?.podName ?? '');
  assert.equal(successor.metadata.uid, target?.podUID);
  assert.equal(successor.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.ok(isPodReady(successor));
  const pods = await cluster.pods.list({ namespace: scene.namespace });
  assert.ok(!pods.items.some(({ metadata }) => metadata.uid === source?.podUID), 'source is gone');
  return successor;
}

async function evaluate(scene: Scene, pod: string, script: string): Promise<string> {
  return (await scene.kubectl.exec(pod, ['redis-cli', 'EVAL', script, '0'])).trim();
}

describe('on the real cluster', { concurrency: 2 }, () => {
  it('a pod moves to the other node and back, with all that it waits for', async () => {
    await using scene = await Scene.create(cluster, 'mig-futex');
    await scene.run(witness());
    const before = await app.observe(scene.kubectl, 'witness');
    await migrate(scene, 'away', { podRef: { name: 'witness' }, target: { nodeName: 'node-b' } });
    const there = await moved(scene, 'away');
    assert.equal(there.spec.nodeName, 'node-b');
    const { name } = there.metadata;
    assert.match(name, /^witness-[0-9a-f]{5}$/);
    const restored = await eventually(
      'its waits end',
      () => app.observe(scene.kubectl, name),
      ({ errors, rounds }) =>
        errors.length > 0 || Object.values(rounds).every((round) => round.moved > 0),
    );
    assertHolds([...judgeWaiting(before, restored), ...judgeMoved(before, restored)]);
    // The scheduler has only one other node to choose.
    await migrate(scene, 'home', { podRef: { name }, target: { any: {} } });
    const home = await moved(scene, 'home');
    assert.equal(home.spec.nodeName, 'node-a');
    assert.match(home.metadata.name, /^witness-[0-9a-f]{5}$/);
    assertHolds(judgeWaiting(before, await app.observe(scene.kubectl, home.metadata.name)));
    await scene.untilNothingIsLeft([]);
    await scene.leave();
  });

  it('redis moves to and fro and loses no key', async () => {
    await using scene = await Scene.create(cluster, 'mig-redis');
    const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1 };
    const sketch = { name: 'redis', image: 'demo/redis:dev', nodeName: 'node-a', readinessProbe };
    await scene.run(sketchedPod(sketch) as Parameters<Scene['run']>[0]);
    const fill = `for i = 1, ${KEYS} do redis.call('SET', 'key:' .. i, 'value:' .. i) end return redis.call('DBSIZE')`;
    const count = `local right = 0 for i = 1, ${KEYS} do if redis.call('GET', 'key:' .. i) == 'value:' .. i then right = right + 1 end end return right`;
    assert.equal(await evaluate(scene, 'redis', fill), String(KEYS));
    let pod = 'redis';
    for (const [trip, nodeName] of ['node-b', 'node-a', 'node-b'].entries()) {
      await migrate(scene, `trip-${trip}`, { podRef: { name: pod }, target: { nodeName } });
      const successor = await moved(scene, `trip-${trip}`);
      assert.equal(successor.spec.nodeName, nodeName);
      pod = successor.metadata.name;
      assert.equal(await evaluate(scene, pod, count), String(KEYS), `after trip ${trip}`);
      await scene.kubectl.exec(pod, ['redis-cli', 'INCR', 'trips']);
    }
    assert.equal((await scene.kubectl.exec(pod, ['redis-cli', 'GET', 'trips'])).trim(), '3');
    await scene.untilNothingIsLeft([]);
    await scene.leave();
  });

  it('a replica moves, and its ReplicaSet makes none besides', async () => {
    await using scene = await Scene.create(cluster, 'mig-replica');
    const { spec } = witness({ spec: {} });
    const { nodeName: _anywhere, ...template } = spec;
    const labels = { app: 'witness' };
    await scene.kubectl.apply(
      toYaml({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'witness' },
        spec: {
          replicas: 3,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: template },
        },
      }),
    );
    const ready = ['rollout', 'status', 'deployment/witness', '--timeout=90s'];
    await scene.kubectl.run(ready);
    const list = async (): Promise<readonly Pod[]> =>
      (await cluster.pods.list({ namespace: scene.namespace, labelSelector: 'app=witness' })).items;
    const siblings = await list();
    const [source, ...others] = siblings;
    assert.ok(source);
    assert.equal(source.spec.containers[0]?.image, WITNESS_IMAGE);
    const before = await app.observe(scene.kubectl, source.metadata.name);
    const seen = new Set<string>();
    const counts: number[] = [];
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        const present = await list();
        present.forEach(({ metadata }) => seen.add(metadata.name));
        const going = present.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
        counts.push(present.filter(isPodReady).length - going.filter(isPodReady).length);
      }
    })();
    const { name } = source.metadata;
    const target = source.spec.nodeName === 'node-a' ? 'node-b' : 'node-a';
    await migrate(scene, 'away', { podRef: { name }, target: { nodeName: target } });
    const successor = await moved(scene, 'away');
    await scene.kubectl.run(ready);
    watching.abort();
    await watch;
    const names = [...siblings.map(({ metadata }) => metadata.name), successor.metadata.name];
    assert.deepEqual([...seen].sort(), names.sort(), 'no other pod was ever made');
    assert.ok(Math.min(...counts) >= 2 && Math.max(...counts) <= 4, counts.join(' '));
    const [owner] = successor.metadata.ownerReferences ?? [];
    assert.equal(owner?.uid, source.metadata.ownerReferences?.[0]?.uid);
    assertHolds(judgeWaiting(before, await app.observe(scene.kubectl, successor.metadata.name)));
    for (const other of others) {
      assertUnharmed(other, await scene.pod(other.metadata.name));
    }
    await scene.leave();
  });

  it('a cancelled one leaves the source where it was, thawed', async () => {
    await using scene = await Scene.create(cluster, 'mig-cancel');
    const [source] = await scene.run(ballast(256));
    assert.ok(source);
    await migrate(scene, 'away', { podRef: { name: 'ballast' }, target: { nodeName: 'node-b' } });
    await untilMigration(scene, 'away', 'the source is frozen', ({ status }) =>
      isConditionTrue(status?.conditions, 'SourceFrozen'),
    );
    const cancel = ['patch', 'mig/away', '--type=merge', '-p', '{"spec":{"cancel":true}}'];
    await scene.kubectl.run(cancel);
    assertFailed(await untilMigration(scene, 'away', 'ends', isOver), /^Canceled: /);
    assertUnharmed(source, await scene.pod('ballast'));
    await assertBeats(scene, 'ballast');
    await scene.untilNothingIsLeft([]);
    await scene.leave();
  });

  it('a pod that is evicted on its way stays where it was', async () => {
    await using scene = await Scene.create(cluster, 'mig-evict');
    const [source] = await scene.run(ballast(256));
    assert.ok(source);
    const target = { nodeName: 'node-b' };
    await migrate(scene, 'away', { podRef: { name: 'ballast' }, target, newPodName: 'there' });
    await untilMigration(scene, 'away', 'the source is frozen', ({ status }) =>
      isConditionTrue(status?.conditions, 'SourceFrozen'),
    );
    await scene.kubectl.run(['delete', 'pod', 'there', '--wait=false']);
    assertFailed(await untilMigration(scene, 'away', 'ends', isOver), /there/);
    assertUnharmed(source, await scene.pod('ballast'));
    await assertBeats(scene, 'ballast');
    await scene.leave();
  });

  it('what cannot move is refused with the field that says so', async () => {
    await using scene = await Scene.create(cluster, 'mig-bad', { store: true });
    const [source] = await scene.run(witness());
    assert.ok(source);
    const podRef = { name: 'witness' };
    for (const [name, spec, says] of [
      [
        'nowhere',
        { podRef, target: { nodeName: 'node-x' } },
        /^NodeNotFound: spec\.target\.nodeName/,
      ],
      ['here', { podRef, target: { nodeName: 'node-a' } }, /^SameNode: spec\.target\.nodeName/],
      [
        'early',
        { podRef, target: { any: {} }, strategy: 'PostCopy' },
        /^StrategyUnsupported: spec\.strategy/,
      ],
      [
        'nobody',
        { podRef: { name: 'nobody' }, target: { any: {} } },
        /^PodNotFound: spec\.podRef\.name/,
      ],
    ] as const) {
      await migrate(scene, name, spec);
      assertFailed(await untilMigration(scene, name, 'ends', isOver), says);
    }
    const twice = migrate(scene, 'twice', { podRef, target: { any: {}, nodeName: 'node-b' } });
    await assert.rejects(twice, /exactly one of nodeName, nodeSelector and any/);
    assertUnharmed(source, await scene.pod('witness'));
    await scene.leave();
  });
});

/** It counts on: what it printed lately is more than before. */
async function assertBeats(scene: Scene, pod: string): Promise<void> {
  const first = await beats(scene, pod);
  const ask = () => beats(scene, pod);
  await eventually(`${pod} counts on`, ask, (now) => now > first, 30_000);
}
