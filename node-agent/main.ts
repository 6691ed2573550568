// The node agent: does the NodeTasks of its node. Everything is put together here; nothing is decided here.
import { join } from 'node:path';
import { pino } from 'pino';
import { Client } from '../kube/client.ts';
import { loadKubeConfig } from '../kube/kubeconfig.ts';
import { createRootfsWorker } from './bundle/rootfs-diff/rootfs-worker.ts';
import { createRuntimeClient, DEFAULT_RUNTIME } from './container/runtime-client.ts';
import { createRegistry, startHealth } from './health.ts';
import { readSettings, type Settings } from './settings.ts';
import { EnginePool } from './tasks/engine-pool.ts';
import { Journal } from './tasks/journal.ts';
import { nodeTools } from './tasks/node-tools.ts';
import { TaskAgent } from './tasks/task-agent.ts';
import { taskMetrics } from './tasks/task-metrics.ts';

const FIELD_MANAGER = 'diapause-agent';

async function run(settings: Settings, signal: AbortSignal): Promise<void> {
  const log = pino({
    base: { component: 'agent', node: settings.nodeName },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  const client = new Client({ config: loadKubeConfig(), fieldManager: FIELD_MANAGER });
  const { stateFolder, flockProgram } = settings;
  const journal = await Journal.open({ folder: join(stateFolder, 'journal'), flockProgram });
  using engines = new EnginePool(settings.engineCommand, (error) =>
    log.error({ err: error }, 'no spare engine could be started'),
  );
  const registry = createRegistry();
  const metrics = taskMetrics(registry);
  const agent = new TaskAgent({
    client,
    agent: settings.agent,
    journal,
    log,
    maxParallel: settings.maxParallel,
    metrics,
    tools: nodeTools(settings, {
      engines,
      runtime: createRuntimeClient({ ...DEFAULT_RUNTIME, socketPaths: settings.runtimeSockets }),
      rootfs: createRootfsWorker(settings.rootfsCommand),
    }),
  });
  metrics.observe(agent);
  const isReady = (): boolean => agent.hasSynced && !signal.aborted;
  const health = await startHealth({ port: settings.healthPort, isReady, registry });
  engines.warm();
  log.info({ version: settings.version, port: settings.healthPort }, 'agent started');
  await agent.run(signal);
  health.close();
  client.close();
  await journal.close();
  log.info('agent ended in good order');
}

const shutdown = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => shutdown.abort(new Error(name)));
}
await run(readSettings(process.env, import.meta.filename), shutdown.signal);
