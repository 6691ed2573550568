// Whatever dies while a pod moves on the real cluster: it runs here or there, exactly once, and counts on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { beats, isOver, migrate, untilMigration } from './testing/migrations.ts';
import { killAtStep, killLeader } from './testing/operator.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast } from './testing/witness.ts';

const cluster = connect();

type Harm = (scene: Scene) => Promise<unknown>;

const killAgent =
  (nodeName: 'node-a' | 'node-b'): Harm =>
  async ({ namespace }) =>
    await killAtStep(cluster, { nodeName, owner: { namespace, name: 'away' }, step: 'engine' });

const killController: Harm = async (scene) => {
  await untilMigration(scene, 'away', 'the source is frozen', ({ status }) =>
    isConditionTrue(status?.conditions, 'SourceFrozen'),
  );
  await killLeader(cluster);
};

const HARMS: readonly (readonly [name: string, what: string, harm: Harm])[] = [
  ['source', 'the agent of the source, while it saves', killAgent('node-a')],
  ['target', 'the agent of the target, while it rebuilds', killAgent('node-b')],
  ['leader', 'the leading controller, while the source is frozen', killController],
];

// One after the other: they kill what the others need.
describe('on the real cluster, killing', () => {
  for (const [name, what, harm] of HARMS) {
    it(`${what}: the pod runs once`, async () => {
      await using scene = await Scene.create(cluster, `mig-kill-${name}`);
      const [source] = await scene.run(ballast(64));
      assert.ok(source);
      const before = await beats(scene, 'ballast');
      const harmed = harm(scene);
      harmed.catch(() => undefined);
      const target = { nodeName: 'node-b' };
      await migrate(scene, 'away', { podRef: { name: 'ballast' }, target, newPodName: 'there' });
      await harmed;
      const migration = await untilMigration(scene, 'away', 'ends', isOver);
      const isMoved = isConditionTrue(migration.status?.conditions, 'Ready');
      const runs = isMoved ? 'there' : 'ballast';
      const other = isMoved ? 'ballast' : 'there';
      await eventually(
        `only ${runs} is there: ${verdict(migration)}`,
        () => scene.findPod(other),
        (found) => found === undefined,
      );
      if (!isMoved) {
        assertUnharmed(source, await scene.pod('ballast'));
      }
      await eventually(
        `${runs} counts on`,
        () => beats(scene, runs),
        (now) => now > before,
      );
      await scene.untilNothingIsLeft([]);
      await scene.leave();
    });
  }
});
