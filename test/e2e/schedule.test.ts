// Schedules on the real cluster: what starts a run, and what is kept of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { CheckpointSchedule, CheckpointScheduleSpec } from '../../crds/checkpoint-schedule.ts';
import { API_VERSION } from '../../crds/meta.ts';
import { LABELS } from '../../crds/names.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import { RESOURCE_TYPES } from '../../src/cluster/types.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { bundleName, isReady, Scene } from './testing/scene.ts';
import { witness } from './testing/witness.ts';

const cluster = connect();
/** The least that the schema allows; a little more, so that the next run is not within it. */
const WINDOW_SECONDS = 10;
const NEXT_RUN_MILLIS = WINDOW_SECONDS * 1000 + 500;
/** A minute until the next one, and what the work itself needs. */
const CRON_MILLIS = 90_000;

async function schedule(
  scene: Scene,
  name: string,
  spec: Partial<CheckpointScheduleSpec>,
): Promise<void> {
  const whole: CheckpointScheduleSpec = {
    selector: { matchLabels: { app: name } },
    ...spec,
    triggers: { minIntervalSeconds: WINDOW_SECONDS, ...spec.triggers },
  };
  const metadata = { name };
  await scene.kubectl.apply(
    toYaml({ apiVersion: API_VERSION, kind: 'CheckpointSchedule', metadata, spec: whole }),
  );
}

async function made(scene: Scene, name: string): Promise<readonly Checkpoint[]> {
  const labelSelector = `${LABELS.schedule}=${name}`;
  const { items } = await cluster.checkpoints.list({ namespace: scene.namespace, labelSelector });
  return items.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** @returns its Checkpoints once there are so many, all ready */
async function untilSaved(
  scene: Scene,
  name: string,
  count: number,
  limitMillis?: number,
): Promise<readonly Checkpoint[]> {
  return await eventually(
    `${count} Checkpoints of ${name}`,
    () => made(scene, name),
    (found) => found.length === count && found.every(isReady),
    limitMillis,
  );
}

async function runNow(scene: Scene, name: string, token: string): Promise<void> {
  const patch = JSON.stringify({ spec: { runNow: token } });
  await scene.kubectl.run(['patch', 'chks', name, '--type=merge', '-p', patch]);
  const schedules = cluster.client.resource<CheckpointSchedule>(RESOURCE_TYPES.checkpointSchedules);
  const told = await eventually(
    `the token ${token} is honoured`,
    () => schedules.get({ namespace: scene.namespace, name }),
    ({ status }) => status?.lastRunToken === token,
  );
  assert.equal(told.status?.lastRun?.trigger, 'RunNow');
}

const triggers = (found: readonly Checkpoint[]): readonly (string | undefined)[] =>
  found.map(({ metadata }) => metadata.labels?.[LABELS.trigger]);

describe('a schedule on the real cluster', { concurrency: 3 }, () => {
  it('saves by the clock', async () => {
    await using scene = await Scene.create(cluster, 'by-clock');
    const [source] = await scene.run(witness({ name: 'clock' }));
    assert.ok(source);
    await schedule(scene, 'clock', { schedule: '* * * * *' });
    const [first] = await untilSaved(scene, 'clock', 1, CRON_MILLIS);
    assert.deepEqual(triggers([first!]), ['Schedule']);
    assert.match(first!.metadata.name, /^clock-clock-\d{12}00$/);
    assert.deepEqual(await scene.stored(), [bundleName(first!)]);
    assertUnharmed(source, await scene.pod('clock'));
    await scene.kubectl.run(['delete', 'chks', 'clock']);
    assert.equal((await made(scene, 'clock')).length, 1, 'Checkpoints outlive their schedule');
  });

  it('saves when asked, keeps the last two, and what is held', async () => {
    await using scene = await Scene.create(cluster, 'by-token');
    const [source] = await scene.run(witness({ name: 'token' }));
    assert.ok(source);
    await schedule(scene, 'token', { retention: { keepLast: 2 }, runNow: 'one' });
    const [one] = await untilSaved(scene, 'token', 1);
    await sleep(NEXT_RUN_MILLIS);
    await runNow(scene, 'token', 'two');
    const [, two] = await untilSaved(scene, 'token', 2);
    const hold = JSON.stringify({ spec: { retention: { hold: true } } });
    await scene.kubectl.run(['patch', 'chk', two!.metadata.name, '--type=merge', '-p', hold]);
    await sleep(NEXT_RUN_MILLIS);
    await runNow(scene, 'token', 'three');
    const gone =
      ({ metadata }: Checkpoint) =>
      async () =>
        (await made(scene, 'token')).every((left) => left.metadata.uid !== metadata.uid);
    await eventually('the oldest goes', gone(one!), Boolean);
    const [, three] = await untilSaved(scene, 'token', 2);
    await eventually(
      'its bundle goes, too',
      () => scene.stored(),
      (found) => !found.includes(bundleName(one!)),
    );
    await sleep(NEXT_RUN_MILLIS);
    await runNow(scene, 'token', 'four');
    // Two that count, and the one that is held.
    const left = await untilSaved(scene, 'token', 3);
    assert.deepEqual(
      left.slice(0, 2).map(({ metadata }) => metadata.name),
      [two!.metadata.name, three!.metadata.name],
    );
    assert.deepEqual(await scene.stored(), left.map(bundleName).toSorted());
    assertUnharmed(source, await scene.pod('token'));
  });

  it('saves the pods of a node that is cordoned, once', async () => {
    await using scene = await Scene.create(cluster, 'by-drain');
    const [going, staying] = await scene.run(
      witness({ name: 'drained', nodeName: 'node-b' }),
      witness({ name: 'staying', nodeName: 'node-a' }),
    );
    assert.ok(going && staying);
    const selector = { matchExpressions: [{ key: 'app', operator: 'Exists' as const }] };
    await schedule(scene, 'drain', { selector, triggers: { onNodeDrain: true } });
    await eventually(
      'the schedule is ready',
      () => scene.kubectl.get<CheckpointSchedule>('chks', 'drain'),
      isReady,
    );
    await scene.kubectl.run(['cordon', 'node-b']);
    try {
      const saved = await untilSaved(scene, 'drain', 1);
      assert.deepEqual(triggers(saved), ['NodeDrain']);
      assert.equal(saved[0]?.spec.source.pod.name, 'drained');
      await sleep(NEXT_RUN_MILLIS);
      assert.equal((await made(scene, 'drain')).length, 1);
    } finally {
      await scene.kubectl.run(['uncordon', 'node-b']);
    }
    assertUnharmed(going, await scene.pod('drained'));
    assertUnharmed(staying, await scene.pod('staying'));
  });
});
