// The agent against an API server in memory and an engine process that does as told.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import { until } from '../../kube/testing/until.ts';
import { TaskFailure } from '../task-failure.ts';
import { NODE_TASKS } from './task-agent.ts';
import { Bench, BUNDLE_NAME } from './testing/bench.ts';
import { assertNothingLeft } from './testing/nothing-left.ts';
import { agentOn } from './testing/run-agent.ts';
import {
  frozenUntil,
  HANGS_WHILE_FROZEN,
  KEPT_FROZEN,
  REFUSES,
  slowUntil,
  SUCCESS,
} from './testing/scenario.ts';

test('a dump ends with a bundle that verifies, and can be deleted', async () => {
  await using bench = await Bench.start();
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump());
  assert.equal(status.state, 'Succeeded', JSON.stringify(status));
  assert.deepEqual(status.acceptedBy, { agentPod: 'agent-1', uid: 'agent-uid' });
  assert.equal(status.result?.freezeMillis, 1.5);
  assert.deepEqual(bench.bundles(), [BUNDLE_NAME]);
  const bundle = join(bench.volume, 'team', BUNDLE_NAME);
  for (const file of ['pod.dump', 'pod.options', 'manifest.json', 'origin.json']) {
    assert.ok(existsSync(join(bundle, file)), file);
  }
  for (const file of ['config.dump', 'spec.dump', 'bind.mounts', 'stats-dump', 'status']) {
    assert.ok(existsSync(join(bundle, 'app', file)), file);
  }
  const digest = status.result?.bundleDigest ?? '';
  const verified = await bench.untilEnded(bench.giveVerify(digest));
  assert.equal(verified.state, 'Succeeded', JSON.stringify(verified));
  const wrong = await bench.untilEnded(bench.giveVerify(`sha256:${'0'.repeat(64)}`));
  assert.equal(wrong.error?.code, 'BundleCorrupt');
  const pages = join(bundle, 'app/checkpoint/pages-1.img');
  const bytes = readFileSync(pages);
  bytes[1_000_000] = 0;
  writeFileSync(pages, bytes);
  const damaged = await bench.untilEnded(bench.giveVerify(digest));
  assert.match(damaged.error?.message ?? '', /app\/checkpoint\/pages-1.img/);
  const deleted = await bench.untilEnded(bench.giveDelete());
  assert.equal(deleted.state, 'Succeeded');
  await assertNothingLeft(bench);
  const gone = await bench.untilEnded(bench.giveVerify(digest));
  assert.equal(gone.error?.code, 'BundleMissing');
});

test('a refusal of the engine reaches the report, with its process and object', async () => {
  await using bench = await Bench.start();
  bench.scenario(REFUSES);
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump());
  assert.equal(status.error?.code, 'Unsupported');
  assert.equal(status.error?.retryable, false);
  assert.deepEqual(status.result?.report, [
    {
      severity: 'refusal',
      code: 'IoUring',
      container: 'app',
      pid: 1,
      message: 'fd 7 -> anon_inode:[io_uring]: turn it off',
    },
  ]);
  assert.equal(bench.cleanUps, 0, 'the engine let go in good order');
  await assertNothingLeft(bench);
});

test('an engine that crashes is a failure with its last words', async () => {
  await using bench = await Bench.start();
  bench.scenario([...SUCCESS.slice(0, 4), { do: 'exit', status: 3, lastWords: 'out of memory' }]);
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump());
  assert.equal(status.error?.code, 'EngineFailed');
  assert.match(status.error?.message ?? '', /exit status 3.*out of memory/);
  await assertNothingLeft(bench);
  bench.scenario([...SUCCESS.slice(0, 4), { do: 'kill-self' }]);
  const killed = await bench.untilEnded(bench.giveDump());
  assert.match(killed.error?.message ?? '', /SIGKILL/);
  assert.equal(bench.cleanUps, 2);
  await assertNothingLeft(bench);
});

test('an engine that hangs while the application stands still is ended at the limit', async () => {
  await using bench = await Bench.start();
  bench.scenario(HANGS_WHILE_FROZEN);
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump({ freezeLimitMillis: 200 }));
  assert.equal(status.error?.code, 'FreezeLimitExceeded');
  assert.equal(bench.cleanUps, 1);
  await assertNothingLeft(bench);
});

test('a cancelled dump lets go at once and leaves nothing', async () => {
  await using bench = await Bench.start();
  bench.scenario(HANGS_WHILE_FROZEN);
  await using _agent = await agentOn(bench);
  const name = bench.giveDump({ freezeLimitMillis: 60_000 });
  await until('stopped', () => bench.victimState === 't');
  const ref = { namespace: OPERATOR_NAMESPACE, name };
  await bench.api
    .client()
    .resource(NODE_TASKS)
    .mergePatch(ref, { spec: { cancel: true } });
  assert.equal((await bench.untilEnded(name)).state, 'Canceled');
  assert.equal(bench.cleanUps, 1);
  await assertNothingLeft(bench);
});

test('a task that is deleted in the middle is undone', async () => {
  await using bench = await Bench.start();
  bench.scenario(HANGS_WHILE_FROZEN);
  await using _agent = await agentOn(bench);
  const name = bench.giveDump({ freezeLimitMillis: 60_000 });
  await until('stopped', () => bench.victimState === 't');
  await bench.api.client().resource(NODE_TASKS).delete({ namespace: OPERATOR_NAMESPACE, name });
  await until('let go', () => bench.victimState === 'S');
  await assertNothingLeft(bench);
  assert.equal(bench.cleanUps, 1);
});

test('a deadline ends the work; one that has passed before it begins, too', async () => {
  await using bench = await Bench.start();
  bench.scenario([{ do: 'go-on-for-ever' }]);
  await using _agent = await agentOn(bench);
  const soon = { deadline: new Date(Date.now() + 700).toISOString() };
  const status = await bench.untilEnded(bench.giveDump({}, soon));
  assert.equal(status.error?.code, 'TimedOut');
  await assertNothingLeft(bench);
  assert.equal(bench.cleanUps, 1);
  const past = { deadline: '2020-01-01T00:00:00Z' };
  assert.equal((await bench.untilEnded(bench.giveDump({}, past))).error?.code, 'TimedOut');
  await assertNothingLeft(bench);
});

test('two tasks of one pod follow one another, another pod need not wait', async () => {
  await using bench = await Bench.start();
  const go = join(bench.folder, 'go');
  bench.scenario(slowUntil(go));
  await using agent = await agentOn(bench);
  const first = bench.giveDump();
  await bench.untilStage(first, 'saving-pages');
  assert.equal(bench.status(first).bytesTotal, 3 << 20);
  const second = bench.giveDump();
  const other = bench.giveDump({
    pod: { namespace: 'team', name: 'app-9', uid: 'pod-9' },
    store: { ...storeOf(bench, first), bundlePath: 'team/other-c-9' },
  });
  await bench.untilStage(other, 'saving-pages');
  assert.equal(bench.status(second).state, undefined);
  assert.equal(agent.agent.running, 2);
  writeFileSync(go, '');
  assert.equal((await bench.untilEnded(first)).state, 'Succeeded');
  assert.equal((await bench.untilEnded(other)).state, 'Succeeded');
  const late = await bench.untilEnded(second);
  // The name is taken by the first: a sealed bundle is never replaced.
  assert.match(late.error?.message ?? '', /exists already/);
  assert.deepEqual(bench.bundles(), [BUNDLE_NAME, 'other-c-9']);
});

function storeOf(bench: Bench, name: string) {
  const spec = bench.task(name)?.spec;
  assert.ok(spec?.type === 'Dump');
  assert.ok(spec.dump.store);
  return spec.dump.store;
}

test('a source kept frozen stays so until it is thawed', async () => {
  await using bench = await Bench.start();
  bench.scenario(KEPT_FROZEN);
  await using _agent = await agentOn(bench);
  const status = await bench.untilEnded(bench.giveDump({ afterDump: 'KeepFrozen' }));
  assert.equal(status.state, 'Succeeded', JSON.stringify(status));
  assert.equal(bench.frozen, true);
  assert.equal((await bench.untilEnded(bench.giveThaw())).state, 'Succeeded');
  assert.equal(bench.frozen, false);
  assert.equal((await bench.untilEnded(bench.giveThaw())).state, 'Succeeded');
});

test('a source kept frozen is thawed when the rest of its dump fails', async () => {
  await using bench = await Bench.start();
  bench.scenario(KEPT_FROZEN);
  await using _agent = await agentOn(bench, {
    root: { fsType: 'overlay', readOnly: false, layers: { upper: '/u', lowers: [] } },
    rootfs: { run: () => Promise.reject(new TaskFailure('StoreFull', 'no room')) },
  });
  const status = await bench.untilEnded(bench.giveDump({ afterDump: 'KeepFrozen' }));
  assert.equal(status.error?.code, 'StoreFull');
  await assertNothingLeft(bench);
});

test('a volume that is cut off ends the dump at once', async () => {
  await using bench = await Bench.start();
  bench.scenario(slowUntil('/nowhere'));
  const holder = new AbortController();
  await using _agent = await agentOn(bench, { holderGone: holder.signal });
  const name = bench.giveDump();
  await bench.untilStage(name, 'saving-pages');
  holder.abort(new TaskFailure('HolderLost', 'the holder went away', { retryable: true }));
  const { error } = await bench.untilEnded(name);
  assert.equal(error?.code, 'HolderLost');
  assert.equal(error.retryable, true);
});

test('a container that ends in the middle explains the failure', async () => {
  await using bench = await Bench.start();
  const go = join(bench.folder, 'go');
  bench.scenario([...frozenUntil(go).slice(0, 5), { do: 'exit', status: 1 }]);
  await using _agent = await agentOn(bench);
  const name = bench.giveDump();
  await until('stopped', () => bench.victimState === 't');
  bench.victim.kill('SIGKILL');
  writeFileSync(go, '');
  const { error } = await bench.untilEnded(name);
  assert.equal(error?.code, 'ContainerNotRunning');
});

for (const [what, payload, code] of [
  ['a bundle path outside its namespace', { bundlePath: '../other/x' }, 'BundleInvalid'],
  ['a bundle path of another namespace', { bundlePath: 'other/x' }, 'BundleInvalid'],
] as const) {
  test(`refused: ${what}`, async () => {
    await using bench = await Bench.start();
    await using _agent = await agentOn(bench);
    const store = { ...storeOf(bench, bench.giveDump({ dryRun: true })), ...payload };
    const status = await bench.untilEnded(bench.giveDump({ store }));
    assert.equal(status.error?.code, code);
  });
}

test('refused: a pod of another namespace, a pod with hostPID', async () => {
  await using bench = await Bench.start();
  await using _agent = await agentOn(bench);
  const pod = { namespace: 'other', name: 'x', uid: 'y' };
  const foreign = await bench.untilEnded(bench.giveDump({ pod }));
  assert.equal(foreign.error?.code, 'ContainerMismatch');
  const manifest = { spec: { hostPID: true } };
  const host = await bench.untilEnded(bench.giveDump({ podManifest: manifest }));
  assert.equal(host.error?.code, 'Unsupported');
  assert.equal(host.result?.report?.[0]?.code, 'HostPid');
  await assertNothingLeft(bench);
});

test('an API server that is away delays the report and nothing else', async () => {
  await using bench = await Bench.start();
  const go = join(bench.folder, 'go');
  bench.scenario(slowUntil(go));
  await using _agent = await agentOn(bench);
  const name = bench.giveDump();
  await bench.untilStage(name, 'saving-pages');
  await bench.api.close();
  writeFileSync(go, '');
  await until('sealed', () => bench.bundles().includes(BUNDLE_NAME));
  await bench.api.open();
  assert.equal((await bench.untilEnded(name)).state, 'Succeeded');
  await until('journal empty', () => bench.journalled().length === 0);
});

test('a restore is refused unless the container waits as a placeholder', async () => {
  await using bench = await Bench.start();
  await using _agent = await agentOn(bench);
  const { result } = await bench.untilEnded(bench.giveDump());
  const status = await bench.untilEnded(bench.giveRestore(result?.bundleDigest ?? ''));
  assert.equal(status.error?.code, 'ContainerMismatch');
  assert.match(status.error?.message ?? '', /runs victim, not the placeholder/);
});

test('tasks of other nodes and of another living agent are left alone', async () => {
  await using bench = await Bench.start();
  const elsewhere = bench.giveDump({}, { nodeName: 'node-b' });
  const theirs = bench.giveDump();
  const ref = { namespace: OPERATOR_NAMESPACE, name: theirs };
  const acceptedBy = { agentPod: 'agent-0', uid: 'older' };
  const status = { state: 'Running', acceptedBy, heartbeatTime: new Date().toISOString() };
  await bench.api.client().resource(NODE_TASKS).mergePatchStatus(ref, { status });
  await using _agent = await agentOn(bench);
  const own = bench.giveThaw();
  await bench.untilEnded(own);
  assert.equal(bench.status(elsewhere).state, undefined);
  assert.equal(bench.status(theirs).state, 'Running');
});

test('a task whose agent died without a journal ends as such', async () => {
  await using bench = await Bench.start();
  const name = bench.giveDump();
  const ref = { namespace: OPERATOR_NAMESPACE, name };
  const acceptedBy = { agentPod: 'agent-0', uid: 'older' };
  const status = { state: 'Running', acceptedBy, heartbeatTime: '2020-01-01T00:00:00Z' };
  await bench.api.client().resource(NODE_TASKS).mergePatchStatus(ref, { status });
  await using _agent = await agentOn(bench);
  const { error } = await bench.untilEnded(name);
  assert.equal(error?.code, 'AgentRestarted');
  assert.equal(error.retryable, true);
});
