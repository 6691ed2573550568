// Migrations from node to node on the real cluster: no store, a stream between two agents, and nothing left of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pod as sketchedPod } from '../../deploy/demo/manifests.ts';
import type { Migration } from '../../crds/migration.ts';
import { isPodReady, type Pod } from '../../src/cluster/pod.ts';
import { connect, type NodeName } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertUnharmed } from './testing/expectations.ts';
import { beats, isOver, migrate, untilMigration } from './testing/migrations.ts';
import { killAgent, passingThrough } from './testing/operator.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast } from './testing/witness.ts';

const cluster = connect();
const NODES: readonly NodeName[] = ['node-a', 'node-b'];
const KEYS = 20_000;

async function ended(scene: Scene, name: string): Promise<Migration> {
  const migration = await untilMigration(scene, name, 'ends', isOver);
  assert.match(verdict(migration), /^Completed: /, JSON.stringify(migration.status));
  return migration;
}

async function successor(scene: Scene, { status }: Migration): Promise<Pod> {
  const pod = await scene.pod(status?.target?.podName ?? '');
  assert.equal(pod.metadata.uid, status?.target?.podUID);
  assert.equal(pod.status?.containerStatuses?.[0]?.restartCount, 0);
  assert.ok(isPodReady(pod));
  return pod;
}

async function untilNothingPassesThrough(): Promise<void> {
  const look = (): Promise<readonly string[]> => Promise.resolve(NODES.flatMap(passingThrough));
  await eventually('both nodes have nothing of it left', look, (left) => left.length === 0);
}

async function evaluate(scene: Scene, pod: string, script: string): Promise<string> {
  return (await scene.kubectl.exec(pod, ['redis-cli', 'EVAL', script, '0'])).trim();
}

/** The stream is under way, and will be for long. */
async function untilSending(scene: Scene): Promise<void> {
  await untilMigration(
    scene,
    'away',
    'it is sent',
    ({ status }) => status?.progress?.stage === 'sending',
  );
}

async function assertRunsOn(scene: Scene, source: Pod): Promise<void> {
  assertUnharmed(source, await scene.pod('ballast'));
  const first = await beats(scene, 'ballast');
  const ask = () => beats(scene, 'ballast');
  await eventually('it counts on', ask, (now) => now > first, 30_000);
  await untilNothingPassesThrough();
}

describe('from node to node on the real cluster', () => {
  it('redis moves to and fro without a store, and loses no key', async () => {
    await using scene = await Scene.create(cluster, 'direct-redis', { store: false });
    const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1 };
    const sketch = { name: 'redis', image: 'demo/redis:dev', nodeName: 'node-a', readinessProbe };
    await scene.run(sketchedPod(sketch) as Parameters<Scene['run']>[0]);
    const fill = `for i = 1, ${KEYS} do redis.call('SET', 'key:' .. i, 'value:' .. i) end return redis.call('DBSIZE')`;
    const count = `local right = 0 for i = 1, ${KEYS} do if redis.call('GET', 'key:' .. i) == 'value:' .. i then right = right + 1 end end return right`;
    assert.equal(await evaluate(scene, 'redis', fill), String(KEYS));
    let name = 'redis';
    for (const [trip, nodeName] of ['node-b', 'node-a'].entries()) {
      const podRef = { name };
      await migrate(scene, `trip-${trip}`, { podRef, target: { nodeName }, strategy: 'Direct' });
      const pod = await successor(scene, await ended(scene, `trip-${trip}`));
      assert.equal(pod.spec.nodeName, nodeName);
      name = pod.metadata.name;
      assert.equal(await evaluate(scene, name, count), String(KEYS), `after trip ${trip}`);
    }
    await untilNothingPassesThrough();
    await scene.leave();
  });

  it('cancelled in the middle of the stream, the source runs on', async () => {
    await using scene = await Scene.create(cluster, 'direct-cancel', { store: false });
    const [source] = await scene.run(ballast(64));
    assert.ok(source);
    const way = { target: { nodeName: 'node-b' }, strategy: 'Direct', bandwidth: '2Mi' } as const;
    await migrate(scene, 'away', { podRef: { name: 'ballast' }, ...way });
    await untilSending(scene);
    const cancel = ['patch', 'mig/away', '--type=merge', '-p', '{"spec":{"cancel":true}}'];
    await scene.kubectl.run(cancel);
    assertFailed(await untilMigration(scene, 'away', 'ends', isOver), /^Canceled: /);
    await assertRunsOn(scene, source);
    await scene.leave();
  });

  for (const nodeName of NODES) {
    it(`the agent of ${nodeName} is killed in the middle of the stream: the source runs on`, async () => {
      await using scene = await Scene.create(cluster, `direct-kill-${nodeName}`, { store: false });
      const [source] = await scene.run(ballast(64));
      assert.ok(source);
      const way = { target: { nodeName: 'node-b' }, strategy: 'Direct', bandwidth: '2Mi' } as const;
      await migrate(scene, 'away', { podRef: { name: 'ballast' }, ...way });
      await untilSending(scene);
      await killAgent(cluster, nodeName);
      const migration = await untilMigration(scene, 'away', 'ends', isOver);
      assertFailed(migration, /^(TransferFailed|AgentRestarted): /);
      await assertRunsOn(scene, source);
      await scene.leave();
    });
  }
});
