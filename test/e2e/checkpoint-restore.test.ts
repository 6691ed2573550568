// The main job on the real cluster: saved with kubectl, brought back on another node, in every way that is offered.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANNOTATIONS } from '../../crds/names.ts';
import { futex, type FutexFacts, judgeMoved, judgeWaiting } from '../../deploy/demo/futex.ts';
import { conditionStatus } from '../../kube/conditions.ts';
import type { Container } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertHolds, assertUnharmed } from './testing/expectations.ts';
import { processesOf } from './testing/node-processes.ts';
import { bundleName, Scene, verdict } from './testing/scene.ts';
import { PYTHON_IMAGE, witness } from './testing/witness.ts';

const cluster = connect();
const app = futex();

async function untilMoved(scene: Scene, pod: string, before: FutexFacts): Promise<void> {
  const restored = await eventually(
    `the waits of ${pod} end`,
    () => app.observe(scene.kubectl, pod),
    (facts) =>
      facts.errors.length > 0 || Object.values(facts.rounds).every(({ moved }) => moved > 0),
  );
  assertHolds([...judgeWaiting(before, restored), ...judgeMoved(before, restored)]);
}

/** @returns the rows of a table that kubectl prints, by column */
function parseTable(text: string): readonly Readonly<Record<string, string>>[] {
  const [header = '', ...lines] = text.trimEnd().split('\n');
  const columns = [...header.matchAll(/\S+\s*/g)].map(({ 0: word, index }) => ({
    name: word.trim(),
    from: index,
    to: word.endsWith(' ') ? index + word.length : undefined,
  }));
  return lines.map((line) =>
    Object.fromEntries(columns.map(({ name, from, to }) => [name, line.slice(from, to).trim()])),
  );
}

describe('on the real cluster', { concurrency: true }, () => {
  it('a pod goes on, and its copy goes on from the same moment on the other node', async () => {
    await using scene = await Scene.create(cluster, 'resume');
    const [source] = await scene.run(witness());
    assert.ok(source);
    const before = await app.observe(scene.kubectl, 'witness');
    await scene.checkpoint('one', 'witness');
    // Nothing but what a user has: the wait ends by itself, well before its limit.
    await scene.kubectl.run(['wait', '--for=condition=Ready', 'chk/one', '--timeout=60s']);
    const after = await app.observe(scene.kubectl, 'witness');
    assertHolds(judgeWaiting(before, after));
    assertUnharmed(source, await scene.pod('witness'));

    const target = { newPod: { name: 'copy', nodeName: 'node-b' } };
    await scene.restore('back', 'one', { target });
    await scene.kubectl.run(['wait', '--for=condition=Ready', 'rst/back', '--timeout=90s']);
    await untilMoved(scene, 'copy', before);
    const copy = await scene.pod('copy');
    assert.equal(copy.spec.nodeName, 'node-b');
    assert.equal(copy.status?.containerStatuses?.[0]?.restartCount, 0);
    const checkpoint = await scene.settledCheckpoint('one');
    await scene.untilNothingIsLeft([bundleName(checkpoint)]);
    await assertColumns(scene);

    await scene.kubectl.run(['delete', 'chk/one', '--timeout=60s']);
    await scene.untilNothingIsLeft([]);
    assert.equal((await app.observe(scene.kubectl, 'copy')).token, before.token);
    await scene.leave();
  });

  it('with Stop the source stands still until it is told to go on', async () => {
    await using scene = await Scene.create(cluster, 'stop');
    const [source] = await scene.run(witness());
    assert.ok(source);
    const before = await app.observe(scene.kubectl, 'witness');
    await scene.checkpoint('one', 'witness', { afterDump: 'Stop' });
    const ready = await scene.settledCheckpoint('one');
    assert.match(verdict(ready), /^Completed: /);
    assert.equal(conditionStatus(ready.status?.conditions, 'SourceFrozen'), 'True');
    await assertStandsStill(scene, 'witness');
    const { uid } = source.metadata;
    assert.equal((await scene.pod('witness')).metadata.uid, uid);

    await scene.restore('back', 'one', {
      target: { newPod: { name: 'copy', nodeName: 'node-b' } },
    });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    assert.equal((await app.observe(scene.kubectl, 'copy')).token, before.token);
    await assertStandsStill(scene, 'witness');

    const resume = '{"spec":{"afterDump":"Resume"}}';
    await scene.kubectl.run(['patch', 'chk/one', '--type=merge', '-p', resume]);
    const condition = '--for=condition=SourceFrozen=False';
    await scene.kubectl.run(['wait', condition, 'chk/one', '--timeout=30s']);
    assertHolds(judgeWaiting(before, await app.observe(scene.kubectl, 'witness')));
    assertUnharmed(source, await scene.pod('witness'));
  });

  it('with DeletePod the source goes once its bundle is stored, and comes back under its name', async () => {
    await using scene = await Scene.create(cluster, 'delete');
    await scene.run(witness());
    const before = await app.observe(scene.kubectl, 'witness');
    await scene.checkpoint('one', 'witness', { afterDump: 'DeletePod' });
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    await scene.kubectl.run(['wait', '--for=delete', 'pod/witness', '--timeout=60s']);

    await scene.restore('back', 'one', { target: { newPod: { name: 'witness' } } });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    await untilMoved(scene, 'witness', before);
  });

  it('two containers of a pod come back together', async () => {
    await using scene = await Scene.create(cluster, 'two');
    const manifest = witness();
    const [main] = manifest.spec.containers;
    assert.ok(main);
    const second: Container = { ...main, name: 'second', image: PYTHON_IMAGE };
    await scene.run({ ...manifest, spec: { ...manifest.spec, containers: [main, second] } });
    const before = await app.observe(scene.kubectl, 'witness');
    const tokens = await pythonTokens(scene, 'witness');
    await scene.checkpoint('one', 'witness');
    const ready = await scene.settledCheckpoint('one');
    assert.match(verdict(ready), /^Completed: /);
    const saved = ready.status?.containers?.map(({ name, processes }) => ({ name, processes }));
    assert.deepEqual(saved, [
      { name: 'main', processes: 2 },
      { name: 'second', processes: 2 },
    ]);
    await scene.restore('back', 'one', {
      target: { newPod: { name: 'copy', nodeName: 'node-b' } },
    });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    await untilMoved(scene, 'copy', before);
    assert.deepEqual(await pythonTokens(scene, 'copy'), tokens);
  });

  it('a dry run only tells', async () => {
    await using scene = await Scene.create(cluster, 'dry');
    const [source] = await scene.run(witness());
    assert.ok(source);
    await scene.checkpoint('one', 'witness', { mode: 'DryRun' });
    const ready = await scene.settledCheckpoint('one');
    assert.match(verdict(ready), /^DryRunPassed: /);
    assert.equal(ready.status?.bundle, undefined);
    assertUnharmed(source, await scene.pod('witness'));
    await scene.untilNothingIsLeft([]);
    await scene.restore('back', 'one');
    const message = verdict(await scene.settledRestore('back'));
    assert.match(message, /^CheckpointHasNoBundle: .*mode: Execute/);
  });
});

/** Its processor time does not grow and nobody wakes. */
async function assertStandsStill(scene: Scene, name: string): Promise<void> {
  const pod = await scene.pod(name);
  const log = () => scene.kubectl.run(['logs', name, '--tail=1']);
  const first = await log();
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  assert.equal(await log(), first, 'it writes a line a second while it runs');
  assert.ok(processesOf(pod).length > 0);
  assert.equal(pod.status?.containerStatuses?.[0]?.restartCount, 0);
}

async function pythonTokens(scene: Scene, pod: string): Promise<unknown> {
  const answer = await scene.kubectl.run([
    'exec',
    pod,
    '-c',
    'second',
    '--',
    '/usr/bin/python3',
    '/app/check.py',
  ]);
  const { tokens, errors } = JSON.parse(answer) as { tokens: unknown; errors: unknown[] };
  assert.deepEqual(errors, []);
  return tokens;
}

async function assertColumns(scene: Scene): Promise<void> {
  const [checkpoint] = parseTable(await scene.kubectl.run(['get', 'chk', '-o', 'wide']));
  assert.deepEqual(Object.keys(checkpoint ?? {}), [
    'NAME',
    'POD',
    'READY',
    'REASON',
    'SIZE',
    'FREEZE',
    'NODE',
    'STORE',
    'AGE',
  ]);
  const { POD, READY, REASON, SIZE, FREEZE, NODE, STORE } = checkpoint ?? {};
  assert.deepEqual(
    { POD, READY, REASON, NODE, STORE },
    { POD: 'witness', READY: 'True', REASON: 'Completed', NODE: 'node-a', STORE: 'default' },
  );
  assert.match(SIZE ?? '', /^\d+(Ki|Mi)$/);
  assert.match(FREEZE ?? '', /^[\d.]+m?s$/);
  const [restore] = parseTable(await scene.kubectl.run(['get', 'rst', '-o', 'wide']));
  const { AGE: _age, ...columns } = restore ?? {};
  assert.deepEqual(columns, {
    NAME: 'back',
    CHECKPOINT: 'one',
    POD: 'copy',
    READY: 'True',
    REASON: 'Completed',
    NODE: 'node-b',
  });
  const copy = await scene.pod('copy');
  assert.equal(copy.metadata.annotations?.[ANNOTATIONS.checkpoint], 'one');
}
