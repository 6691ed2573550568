// Leave to do what cannot be called back: either the agent has it, or whoever cancelled knows that it never will.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { API_VERSION, GROUP, VERSION } from '../../crds/meta.ts';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTask } from '../../crds/node-task.ts';
import { systemClock } from '../../kube/clock.ts';
import { FakeApiServer } from '../../kube/testing/fake-api-server.ts';
import { TaskFailure } from '../task-failure.ts';
import { TaskReporter } from './task-reporter.ts';

const TASKS = { group: GROUP, version: VERSION, plural: 'nodetasks', namespaced: true } as const;
const REF = { namespace: OPERATOR_NAMESPACE, name: 'restore-1' };

async function startServer(): Promise<FakeApiServer> {
  const server = await FakeApiServer.start({ kinds: [{ ...TASKS, kind: 'NodeTask' }] });
  const spec = { nodeName: 'node-b', type: 'Restore' };
  server.seed(TASKS, { apiVersion: API_VERSION, kind: 'NodeTask', metadata: REF, spec } as never);
  return server;
}

function reporterFor(server: FakeApiServer, uid?: string): TaskReporter {
  const resource = server.client({ fieldManager: 'agent' }).resource<NodeTask>(TASKS);
  const known = server.peek<NodeTask>(TASKS, REF)?.metadata.uid ?? '';
  const ref = { ...REF, uid: uid ?? known };
  return new TaskReporter({ resource, ref, clock: systemClock, onError: () => undefined });
}

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof TaskFailure && error.code === code;

describe('commit', () => {
  const signal = AbortSignal.timeout(20_000);

  it('is written before it is granted', async () => {
    const server = await startServer();
    using reporter = reporterFor(server);
    await reporter.commit(signal);
    assert.equal(server.peek<NodeTask>(TASKS, REF)?.status?.committed, true);
    await server.close();
  });

  it('is refused once the task was cancelled', async () => {
    const server = await startServer();
    using reporter = reporterFor(server);
    await server
      .client()
      .resource<NodeTask>(TASKS)
      .mergePatch(REF, { spec: { cancel: true } });
    await assert.rejects(reporter.commit(signal), hasCode('Canceled'));
    await server.close();
  });

  it('is refused when the task is gone, or another one has its name', async () => {
    const server = await startServer();
    using other = reporterFor(server, 'another-uid');
    await assert.rejects(other.commit(signal), hasCode('Canceled'));
    using reporter = reporterFor(server);
    await server.client().resource<NodeTask>(TASKS).delete(REF);
    await assert.rejects(reporter.commit(signal), hasCode('Canceled'));
    await server.close();
  });

  it('waits for an API server that comes back, and finds the cancellation then', async () => {
    const server = await startServer();
    using reporter = reporterFor(server);
    // It is heard, but the answer gets lost; meanwhile somebody cancels, and finds us committed.
    server.faults.add({
      verb: 'patch',
      plural: 'nodetasks',
      action: { type: 'drop', when: 'after' },
    });
    const asked = reporter.commit(signal);
    asked.catch(() => undefined);
    while (server.peek<NodeTask>(TASKS, REF)?.status?.committed !== true) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await server
      .client()
      .resource<NodeTask>(TASKS)
      .mergePatch(REF, { spec: { cancel: true } });
    await assert.rejects(asked, hasCode('Canceled'));
    await server.close();
  });
});
