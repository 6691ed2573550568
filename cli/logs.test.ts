// logs, as a user types it, against a test API server that keeps logs as texts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../kube/testing/until.ts';
import { NAMESPACE, TestCluster } from './testing/program.ts';

const PODS = { group: '', version: 'v1', plural: 'pods', namespaced: true };

describe('kubectl diapause logs', () => {
  const line = (time: string, fields: object): string =>
    `${JSON.stringify({ level: 'info', time: `2026-11-27T12:00:0${time}Z`, ...fields })}\n`;
  const pod = (name: string, labels: Record<string, string>, nodeName: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'diapause-system', name, labels },
    spec: { nodeName },
  });
  const log = (name: string): string => `/api/v1/namespaces/diapause-system/pods/${name}/log`;
  const owner = { kind: 'Checkpoint', namespace: NAMESPACE, name: 'redis-1' };

  it('gathers what controller and agents wrote about an object, in the order of time', async () => {
    await using cluster = await TestCluster.start();
    const { server } = cluster;
    server.seed(
      PODS,
      pod('controller-x', { 'app.kubernetes.io/name': 'diapause-controller' }, 'node-a'),
    );
    server.seed(PODS, pod('agent-x', { 'diapause.dev/role': 'agent' }, 'node-b'));
    server.texts.set(
      log('controller-x'),
      [
        line('1.000', { ...owner, reason: 'Dumping', msg: 'asked the agent' }),
        line('1.500', { ...owner, name: 'redis-2', msg: 'another one' }),
        line('4.000', {
          level: 'warn',
          controller: 'checkpoint',
          key: 'shop/redis-1',
          why: 'conflict',
          msg: 'reconcile failed',
        }),
        'Segmentation fault\n',
      ].join(''),
    );
    // Agents write pino's own levels and times; this one was restarted in between.
    const time = Date.parse('2026-11-27T12:00:02Z');
    server.texts.set(
      `${log('agent-x')}?previous`,
      line('0', { level: 30, time, node: 'node-b', task: 't1', owner, msg: 'task begun' }),
    );
    server.texts.set(
      log('agent-x'),
      line('2.500', { task: 't2', owner: { ...owner, kind: 'Restore' }, msg: 'task begun' }) +
        line('3.000', { task: 't1', state: 'Succeeded', msg: 'task ended' }),
    );
    const { code, stdout } = await cluster.run('logs', 'checkpoint/redis-1');
    assert.equal(
      stdout,
      [
        '12:00:01.000 controller    asked the agent  reason=Dumping',
        '12:00:02.000 agent node-b  task begun  task=t1',
        '12:00:03.000 agent node-b  task ended  task=t1  state=Succeeded',
        '12:00:04.000 controller    warn: reconcile failed  why=conflict',
        '',
      ].join('\n'),
    );
    assert.equal(code, 0);
    const none = await cluster.run('logs', 'rst/none');
    assert.match(none.stderr, /nothing was logged about rst\/none/);
  });

  it('--follow goes on with what is written, once, over broken connections and by new pods', async () => {
    await using cluster = await TestCluster.start();
    const { server } = cluster;
    const labels = { 'app.kubernetes.io/name': 'diapause-controller' };
    server.seed(PODS, pod('controller-x', labels, 'node-a'));
    const of = log('controller-x');
    server.texts.set(of, line('1.000', { ...owner, msg: 'asked the agent' }));
    const running = cluster.start('logs', 'checkpoint/redis-1', '--follow');
    await running.says('asked the agent');
    await until('a follower', () => server.cutFollowers(of) === 1, 30_000);
    server.appendText(of, line('1.500', { ...owner, name: 'redis-2', msg: 'another one' }));
    server.appendText(of, line('2.000', { ...owner, msg: 'while nobody listened' }));
    await running.says('while nobody listened');
    server.seed(PODS, pod('agent-x', { 'diapause.dev/role': 'agent' }, 'node-b'));
    server.texts.set(log('agent-x'), line('3.000', { task: 't1', owner, msg: 'task begun' }));
    await running.says('task begun');
    server.appendText(log('agent-x'), line('4.000', { task: 't2', msg: 'of nobody' }));
    server.appendText(log('agent-x'), line('5.000', { task: 't1', msg: 'task ended' }));
    await running.says('task ended');
    running.child.kill('SIGINT');
    const { code, stdout } = await running.finished();
    assert.equal(
      stdout,
      [
        '12:00:01.000 controller    asked the agent',
        '12:00:02.000 controller    while nobody listened',
        '12:00:03.000 agent node-b  task begun  task=t1',
        '12:00:05.000 agent node-b  task ended  task=t1',
        '',
      ].join('\n'),
    );
    assert.equal(code, 130);
  });
});
