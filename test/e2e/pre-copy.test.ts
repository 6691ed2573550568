// Migrations whose pages go ahead while the pod runs, on the real cluster: rounds first, then the freeze.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pod as sketchedPod } from '../../deploy/demo/manifests.ts';
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
const KEYS = 400_000;
const MIB = 1 << 20;

async function untilNothingPassesThrough(): Promise<void> {
  const look = (): Promise<readonly string[]> => Promise.resolve(NODES.flatMap(passingThrough));
  await eventually('both nodes have nothing of it left', look, (left) => left.length === 0);
}

async function evaluate(scene: Scene, pod: string, script: string): Promise<string> {
  return (await scene.kubectl.exec(pod, ['redis-cli', 'EVAL', script, '0'])).trim();
}

async function assertRunsOn(scene: Scene, source: Pod): Promise<void> {
  assertUnharmed(source, await scene.pod('ballast'));
  const first = await beats(scene, 'ballast');
  const ask = () => beats(scene, 'ballast');
  await eventually('it counts on', ask, (now) => now > first, 30_000);
  await untilNothingPassesThrough();
}

describe('with pages sent ahead on the real cluster', () => {
  it('redis moves to and fro, loses no key, and its status tells of the rounds', async () => {
    await using scene = await Scene.create(cluster, 'pre-copy-redis', { store: false });
    const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1 };
    const sketch = { name: 'redis', image: 'demo/redis:dev', nodeName: 'node-a', readinessProbe };
    await scene.run(sketchedPod(sketch) as Parameters<Scene['run']>[0]);
    const fill = `for i = 1, ${KEYS} do redis.call('SET', 'key:' .. i, 'value:' .. i) end return redis.call('DBSIZE')`;
    const count = `local right = 0 for i = 1, ${KEYS} do if redis.call('GET', 'key:' .. i) == 'value:' .. i then right = right + 1 end end return right`;
    assert.equal(await evaluate(scene, 'redis', fill), String(KEYS));
    let name = 'redis';
    for (const [trip, nodeName] of ['node-b', 'node-a'].entries()) {
      const podRef = { name };
      await migrate(scene, `trip-${trip}`, { podRef, target: { nodeName }, strategy: 'PreCopy' });
      const over = await untilMigration(scene, `trip-${trip}`, 'ends', isOver);
      assert.match(verdict(over), /^Completed: /, JSON.stringify(over.status));
      const pod = await scene.pod(over.status?.target?.podName ?? '');
      assert.equal(pod.spec.nodeName, nodeName);
      assert.equal(pod.status?.containerStatuses?.[0]?.restartCount, 0);
      assert.ok(isPodReady(pod));
      const { rounds = [] } = over.status ?? {};
      const [first, ...others] = rounds;
      const last = others.at(-1);
      assert.ok(first && last, `rounds ${JSON.stringify(rounds)}`);
      assert.ok(first.bytes > 16 * MIB, `rounds ${JSON.stringify(rounds)}`);
      assert.ok(last.bytes < first.bytes / 2, `rounds ${JSON.stringify(rounds)}`);
      name = pod.metadata.name;
      assert.equal(await evaluate(scene, name, count), String(KEYS), `after trip ${trip}`);
    }
    await untilNothingPassesThrough();
    await scene.leave();
  });

  for (const nodeName of NODES) {
    it(`the agent of ${nodeName} is killed in a round: the source never stands, and runs on`, async () => {
      const name = `pre-copy-kill-${nodeName}`;
      await using scene = await Scene.create(cluster, name, { store: false });
      const [source] = await scene.run(ballast(64));
      assert.ok(source);
      const way = {
        target: { nodeName: 'node-b' },
        strategy: 'PreCopy',
        bandwidth: '2Mi',
      } as const;
      await migrate(scene, 'away', { podRef: { name: 'ballast' }, ...way });
      await untilMigration(scene, 'away', 'it is copied', ({ status }) => {
        return status?.progress?.stage === 'pre-copying';
      });
      await killAgent(cluster, nodeName);
      const migration = await untilMigration(scene, 'away', 'ends', isOver);
      assertFailed(migration, /^(TransferFailed|AgentRestarted): /);
      assert.equal(migration.status?.timing?.frozenAt, undefined);
      await assertRunsOn(scene, source);
      await scene.leave();
    });
  }
});
