// Hooks as their task has them, what stands against them, and what their failure makes of a Restore.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Action, Hooks } from '../../crds/hook.ts';
import { RESTORED_POD_CONDITION } from '../../crds/names.ts';
import type { Verification } from '../../crds/node-task.ts';
import { findCondition } from '../../kube/conditions.ts';
import { container, containerID, pod } from '../testing/builders.ts';
import { succeed } from '../testing/fake-node.ts';
import { SmallCluster } from '../testing/small-cluster.ts';
import { hookObjection, taskHooks } from './hooks.ts';
import { hasCondition, type Pod } from './pod.ts';

const exec = { command: ['sync'] };
const http = { port: 80 };

function source(changes: Partial<Pod['spec']> = {}): Pod {
  const made = pod({ containers: [container(), container({ name: 'proxy' })], ...changes });
  return { ...made, status: { ...made.status, podIP: '10.88.0.7' } };
}

const target = (changes: Partial<Pod['spec']> = {}) => ({
  pod: source(changes),
  containers: ['main'],
});

describe('hooks of a task', () => {
  it('name the container by its id and the pod by its address', () => {
    const hooks: Hooks = {
      pre: [{ exec }, { exec: { ...exec, container: 'proxy' }, onError: 'Ignore' }],
      post: [{ http: { ...http, path: '/on', method: 'GET' }, timeoutSeconds: 3 }, { http }],
    };
    const made = taskHooks(hooks, target());
    const { imageID = '' } = source().status?.containerStatuses?.[0] ?? {};
    const inContainer = (name: string, digits: string) => ({
      exec: { container: { name, containerID: containerID(digits), imageID }, command: ['sync'] },
    });
    assert.deepEqual(made?.pre, [
      { ...inContainer('main', 'a0'), onError: 'Fail', timeoutSeconds: 10 },
      { ...inContainer('proxy', 'a1'), onError: 'Ignore', timeoutSeconds: 10 },
    ]);
    const podIP = '10.88.0.7';
    assert.deepEqual(made.post, [
      { http: { podIP, port: 80, path: '/on', method: 'GET' }, onError: 'Fail', timeoutSeconds: 3 },
      { http: { podIP, port: 80, path: '/', method: 'POST' }, onError: 'Fail', timeoutSeconds: 10 },
    ]);
  });

  it('are not there when there are none', () => {
    assert.equal(taskHooks(undefined, target()), undefined);
    assert.equal(taskHooks({ pre: [], post: [] }, target()), undefined);
  });
});

describe('what stands against hooks', () => {
  const stranger: Action = { exec: { ...exec, container: 'stranger' } };
  const CASES: readonly (readonly [
    what: string,
    hooks: Hooks | undefined,
    probe: Action | undefined,
    spec: Partial<Pod['spec']>,
    says: RegExp | undefined,
  ])[] = [
    ['nothing', { pre: [{ exec }], post: [{ http }] }, { http }, {}, undefined],
    [
      'an unknown container',
      { post: [stranger] },
      undefined,
      {},
      /^spec\.hooks\.post\[0\].*stranger/,
    ],
    ['a probe in an unknown one', undefined, stranger, {}, /^spec\.verify\.probe\.exec\.container/],
    ['the network of the node', { pre: [{ http }] }, undefined, { hostNetwork: true }, /its node/],
  ];
  for (const [what, hooks, probe, spec, says] of CASES) {
    it(what, () => {
      const objection = hookObjection(hooks, probe, target(spec));
      if (says === undefined) {
        assert.equal(objection, undefined);
      } else {
        assert.match(objection?.facts ?? '', says);
      }
    });
  }

  it('ends a Checkpoint before there is a task', async () => {
    await using cluster = await SmallCluster.start();
    cluster.createCheckpoint({ hooks: { pre: [stranger] } });
    await cluster.untilReason(() => cluster.checkpoint(), 'ContainerNotFound');
    assert.deepEqual(cluster.nodes[0].seenTasks, []);
  });
});

describe('a restored pod', () => {
  const verified = async (cluster: SmallCluster, verification: Verification): Promise<void> => {
    cluster.createCheckpoint();
    await cluster.untilReason(() => cluster.checkpoint(), 'Completed');
    cluster.nodes[1].agent = (task) =>
      succeed(task).map((status) =>
        status.result === undefined
          ? status
          : { ...status, result: { ...status.result, verification } },
      );
    cluster.createRestore({
      target: { newPod: { nodeName: 'node-b' } },
      verify: { probe: { exec, timeoutSeconds: 3 } },
    });
  };

  it('becomes ready when it is verified, and the condition says how', async () => {
    await using cluster = await SmallCluster.start();
    await verified(cluster, { passed: true, reason: 'Verified', message: '64 pages' });
    await cluster.untilReason(() => cluster.restore(), 'Completed');
    const told = findCondition(cluster.restore()?.status?.conditions, 'Verified');
    assert.deepEqual([told?.status, told?.message], ['True', '64 pages']);
    const [task] = cluster.nodes[1].seenTasks.filter(({ spec }) => spec.type === 'Restore');
    assert.ok(task?.spec.type === 'Restore');
    assert.equal(task.spec.restore.probe?.timeoutSeconds, 3);
  });

  it('that fails its probe is left alone, and never becomes ready', async () => {
    await using cluster = await SmallCluster.start();
    await verified(cluster, { passed: false, reason: 'ProbeFailed', message: 'status 503' });
    await cluster.untilReason(() => cluster.restore(), 'ProbeFailed');
    const conditions = cluster.restore()?.status?.conditions;
    assert.equal(findCondition(conditions, 'ProcessesRestored')?.status, 'True');
    assert.match(findCondition(conditions, 'Verified')?.message ?? '', /^status 503: /);
    const left = cluster.pod('redis-back');
    assert.ok(left !== undefined && left.metadata.deletionTimestamp === undefined);
    assert.equal(hasCondition(left, RESTORED_POD_CONDITION), false);
  });
});
