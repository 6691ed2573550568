import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createRegistry, startHealth } from './health.ts';
import { taskMetrics } from './tasks/task-metrics.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('alive, ready once the tasks are known, and with figures', async () => {
  const registry = createRegistry();
  const metrics = taskMetrics(registry);
  const port = await freePort();
  let ready = false;
  const health = await startHealth({ port, isReady: () => ready, registry });
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  try {
    assert.equal((await get('/healthz')).status, 200);
    assert.equal((await get('/readyz')).status, 503);
    ready = true;
    assert.equal((await get('/readyz')).status, 200);
    assert.equal((await get('/nothing')).status, 404);
    metrics.began();
    metrics.began();
    metrics.ended('Dump', { state: 'Succeeded', result: { freezeMillis: 20, bundleBytes: 5 } });
    const text = await (await get('/metrics')).text();
    assert.match(text, /diapause_agent_tasks_running 1/);
    assert.match(text, /diapause_agent_tasks_total\{type="Dump",state="Succeeded",code=""\} 1/);
    assert.match(text, /diapause_agent_freeze_seconds_bucket\{le="0.025"\} 1/);
  } finally {
    health.close();
  }
});
