// What a kubelet and a scraper get.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { checkpoint, pod, restore, storedStatus } from '../testing/builders.ts';
import type { ListWatchCounters } from '../../kube/list-watch.ts';
import { HealthServer } from './http.ts';
import { Metrics } from './metrics.ts';

const NO_COUNTERS: ListWatchCounters = {
  objects: 0,
  events: 0,
  lists: 0,
  relists: 0,
  watchRestarts: 0,
  silentWatches: 0,
  failures: 0,
  handlerErrors: 0,
  lastEventAt: 0,
  lastListAt: 0,
};

describe('HealthServer', () => {
  const metrics = new Metrics();
  metrics.observe({
    queueDepths: () => ({ checkpoint: 2 }),
    watches: () => ({ pods: { ...NO_COUNTERS, watchRestarts: 7, failures: 1 } }),
    events: () => ({ recorded: 5, written: 4, dropped: 1 }),
    leads: () => true,
  });
  let problem: string | undefined = 'the API server does not answer';
  const server = new HealthServer({
    ready: () => problem,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  });
  const listening = server.listen(0, '127.0.0.1');
  const get = async (path: string): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${await listening}${path}`);
    return [response.status, await response.text()];
  };
  after(() => server.close());

  it('is alive, and ready once nothing is wrong', async () => {
    assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
    assert.deepEqual(await get('/readyz'), [503, 'the API server does not answer\n']);
    problem = undefined;
    assert.deepEqual(await get('/readyz?verbose'), [200, 'ok\n']);
    assert.equal((await get('/secrets'))[0], 404);
  });

  it('tells figures', async () => {
    const timing = { startTime: '2026-11-24T12:00:00Z', completionTime: '2026-11-24T12:00:02Z' };
    const status = storedStatus(pod(), { timing: { ...timing, freezeMillis: 12 } });
    metrics.checkpointEnded(checkpoint({}, status));
    metrics.reconciled({
      controller: 'checkpoint',
      key: 'a/b',
      result: 'success',
      durationMillis: 3,
      failures: 0,
    });
    const failed = { type: 'Ready', status: 'False', reason: 'Unsupported' } as const;
    const condition = { ...failed, message: '', lastTransitionTime: timing.startTime };
    metrics.restoreEnded({ ...restore(), status: { conditions: [condition] } });
    await get('/metrics');
    const [, text] = await get('/metrics');
    for (const line of [
      'diapause_operations_total{kind="Checkpoint",result="ready",reason="Completed"} 1',
      'diapause_operations_total{kind="Restore",result="failed",reason="Unsupported"} 1',
      'diapause_freeze_seconds_sum 0.012',
      'diapause_bundle_bytes_sum 1048576',
      'diapause_operation_seconds_sum{kind="Checkpoint"} 2',
      'diapause_queue_depth{controller="checkpoint"} 2',
      'diapause_watch_restarts_total{kind="pods"} 7',
      'diapause_watch_failures_total{kind="pods"} 1',
      'diapause_events_total{result="dropped"} 1',
      'diapause_leader 1',
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
  });
});
