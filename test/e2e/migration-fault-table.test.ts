// Whatever dies while a pod moves on the real cluster, at each step of its way: it runs here or there, exactly once. The
// program itself would notice a second one of it: both would write to the same file.
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pod as sketchedPod } from '../../deploy/demo/manifests.ts';
import { isConditionTrue } from '../../kube/conditions.ts';
import { clusterScript, connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { beats, isOver, migrate, untilMigration } from './testing/migrations.ts';
import { killAgent, killLeader, untilStep } from './testing/operator.ts';
import { Scene, verdict } from './testing/scene.ts';
import { type PodManifest, PYTHON_IMAGE } from './testing/witness.ts';

const cluster = connect();

/** Short of the time after which a node counts as lost. */
const CUT_MILLIS = 6_000;
const PATIENCE_MILLIS = 40_000;

/** Faults one after the other, whoever's: two at once would be another test. */
class OneAtATime {
  #last: Promise<unknown> = Promise.resolve();

  run(harm: () => Promise<unknown>): Promise<unknown> {
    const next = this.#last.then(harm);
    this.#last = next.catch(() => undefined);
    return next;
  }
}
const faults = new OneAtATime();

/**
 * The faults of one test are in the way of what the others ask: all of it can be asked again.
 *
 * @throws Error when it fails again and again, or what was waited for did not happen in time
 */
async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  let failingSince = 0;
  for (;;) {
    const began = performance.now();
    try {
      return await ask();
    } catch (error) {
      const now = performance.now();
      failingSince = failingSince === 0 || now - began > CUT_MILLIS ? now : failingSince;
      if (
        (error as Error).message.startsWith('not within') ||
        now - failingSince > PATIENCE_MILLIS
      ) {
        throw error;
      }
      await sleep(500);
    }
  }
}

async function cut(nodeName: 'node-a' | 'node-b'): Promise<void> {
  await clusterScript('cut', nodeName);
  try {
    await sleep(CUT_MILLIS);
  } finally {
    await clusterScript('heal', nodeName);
  }
}

const VICTIMS: Readonly<Record<string, () => Promise<unknown>>> = {
  'the leading controller is killed': () => killLeader(cluster),
  'the agent of the source is killed': () => killAgent(cluster, 'node-a'),
  'the agent of the target is killed': () => killAgent(cluster, 'node-b'),
  'the API server is killed': () => clusterScript('restart-apiserver'),
  'the network of the source is cut': () => cut('node-a'),
  'the network of the target is cut': () => cut('node-b'),
};

type Step = (scene: Scene) => Promise<unknown>;

const whenTrue =
  (type: string): Step =>
  (scene) =>
    patiently(() =>
      untilMigration(
        scene,
        'away',
        type,
        (migration) => isOver(migration) || isConditionTrue(migration.status?.conditions, type),
      ),
    );
const whenAt =
  (nodeName: 'node-a' | 'node-b'): Step =>
  ({ namespace }) =>
    untilStep(nodeName, { namespace, name: 'away' }, 'engine');

const STEPS: Readonly<Record<string, Step>> = {
  accepted: whenTrue('Accepted'),
  saving: whenAt('node-a'),
  frozen: whenTrue('SourceFrozen'),
  rebuilding: whenAt('node-b'),
  restored: whenTrue('Restored'),
};

/**
 * Counts in a file that moves with nobody. Whoever finds another number there than the one it wrote itself is not the
 * only one. Once is not: a source that goes on after its successor had begun and was ended finds what that one wrote.
 */
const PROGRAM = `
import os, time
count = os.open("/shared/count", os.O_RDWR | os.O_CREAT)
ballast = os.urandom(48 << 20)
beats = 0
os.pwrite(count, b"%16d" % beats, 0)
open("/work/filled", "w").close()
while True:
    time.sleep(0.002)
    found = int(os.pread(count, 16, 0))
    if found != beats: print("OTHER: wrote", beats, "found", found, flush=True)
    beats = found + 1
    os.pwrite(count, b"%16d" % beats, 0)
    if beats % 100 == 0: print(f"beats {beats}", flush=True)
`;

function counter(): PodManifest {
  const command = ['/usr/bin/python3', '-c', PROGRAM];
  const exec = { command: ['/usr/bin/python3', '-c', 'open("/work/filled")'] };
  const readinessProbe = { exec, periodSeconds: 1, timeoutSeconds: 5 };
  const sketch = {
    name: 'counter',
    nodeName: 'node-a',
    image: PYTHON_IMAGE,
    command,
    readinessProbe,
  };
  const { metadata, spec } = sketchedPod(sketch) as PodManifest;
  const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
  const volumes = [{ name: 'shared', persistentVolumeClaim: { claimName: 'checkpoints' } }];
  const containers = spec.containers.map((one) => ({ ...one, volumeMounts }));
  return { ...{ apiVersion: 'v1', kind: 'Pod' }, metadata, spec: { ...spec, containers, volumes } };
}

async function runsOnce(t: TestContext, name: string, step: Step, harm: () => Promise<unknown>) {
  const scene = await patiently(() => Scene.create(cluster, `mig-${name}`));
  const [source] = await patiently(() => scene.run(counter()));
  assert.ok(source);
  const beatsOf = (pod: string) => patiently(() => beats(scene, pod));
  const before = await beatsOf('counter');
  const reached = step(scene);
  reached.catch(() => undefined);
  const target = { nodeName: 'node-b' };
  const spec = { podRef: { name: 'counter' }, target, newPodName: 'there' };
  await patiently(() => migrate(scene, 'away', spec));
  await reached;
  await faults.run(harm);
  const migration = await patiently(() => untilMigration(scene, 'away', 'ends', isOver));
  t.diagnostic(verdict(migration).slice(0, 120));
  const isMoved = isConditionTrue(migration.status?.conditions, 'Ready');
  const [runs, other] = isMoved ? ['there', 'counter'] : ['counter', 'there'];
  await eventually(
    `only ${runs} is there: ${verdict(migration)}`,
    () => patiently(() => scene.findPod(other)),
    (found) => found === undefined,
  );
  if (!isMoved) {
    assertUnharmed(source, await patiently(() => scene.pod('counter')));
  }
  const soFar = await beatsOf(runs);
  const isFurther = (now: number): boolean => now > Math.max(before, soFar);
  await eventually(`${runs} counts on`, () => beatsOf(runs), isFurther);
  const log = await patiently(() => scene.kubectl.run(['logs', runs]));
  const others = log.match(/^OTHER: .*$/gm) ?? [];
  t.diagnostic(others.join('; '));
  assert.ok(others.length <= 1, others.slice(0, 5).join('\n'));
  await patiently(() => scene.untilNothingIsLeft([]));
  await patiently(() => scene[Symbol.asyncDispose]());
}

/** Ten minutes in which everything is killed all the time: other tests would wait in vain. */
const skip = process.env['FAULTS'] === 'all' ? false : 'asked for with FAULTS=all';

describe('on the real cluster', { concurrency: 3, skip }, () => {
  for (const [at, step] of Object.entries(STEPS)) {
    for (const [index, [what, harm]] of Object.entries(VICTIMS).entries()) {
      it(`${what} when the pod is ${at}: it runs once`, async (t) => {
        await runsOnce(t, `${at}-${index}`, step, harm);
      });
    }
  }
});
