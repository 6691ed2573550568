// The controller manager: constructs the outside, elects a leader, works until told to stop. Never touches a node.
import { Client } from '../kube/client.ts';
import type { ControllerHooks } from '../kube/controller.ts';
import { EventRecorder, EVENTS } from '../kube/events.ts';
import { loadKubeConfig } from '../kube/kubeconfig.ts';
import { LeaderElection, LEASES } from '../kube/lease.ts';
import { Manager } from './manager.ts';
import { HealthServer } from './observability/http.ts';
import type { Listener } from './observability/listener.ts';
import { createLog, type Logger } from './observability/log.ts';
import { Metrics } from './observability/metrics.ts';
import { type Options, readOptions } from './options.ts';

const FIELD_MANAGER = 'diapause-controller';
const LEASE_NAME = 'diapause-controller';

async function main(): Promise<void> {
  const options = readOptions(process.env);
  const log = createLog('controller', options.logLevel);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping');
      stop.abort(new Error(signal));
    });
  }
  const client = new Client({ config: loadKubeConfig(), fieldManager: FIELD_MANAGER });
  const version = JSON.parse(await client.getText('/version', { signal: stop.signal })) as {
    readonly gitVersion: string;
  };
  log.info({ serverVersion: version.gitVersion }, 'starting');
  const end = await work(client, version.gitVersion, options, { log, stop });
  client.close();
  log.info({ end }, 'ended');
  // Whoever lost the lease starts afresh: with nothing half known.
  process.exitCode = end === 'stopped' ? 0 : 1;
}

async function work(
  client: Client,
  serverVersion: string,
  options: Options,
  { log, stop }: { readonly log: Logger; readonly stop: AbortController },
): Promise<string> {
  const metrics = new Metrics();
  const recorder = new EventRecorder({
    events: client.resource(EVENTS),
    reportingController: 'diapause.dev/controller',
    reportingInstance: options.podName,
    onError: (error) => log.warn({ err: error }, 'an event was not written'),
  });
  const manager = new Manager({
    client,
    serverVersion,
    listener: listenerFor(recorder, metrics, log),
    hooks: hooksFor(metrics, log),
    onWatchError: (error, kind, stage) => log.warn({ err: error, kind, stage }, 'watch trouble'),
  });
  const election = new LeaderElection({
    leases: client.resource(LEASES),
    lease: { namespace: options.namespace, name: LEASE_NAME },
    identity: `${options.podName}_${options.podUid}`,
    onError: (error) => log.warn({ err: error }, 'lease trouble'),
    onHolder: (holder) => log.info({ holder }, 'leader'),
  });
  metrics.observe({
    queueDepths: () => manager.queueDepths(),
    watches: () => manager.watchCounters(),
    events: () => recorder.counters,
    leads: () => election.leads,
  });
  const http = healthServer(metrics, stop.signal);
  log.info({ port: await http.listen(options.httpPort) }, 'listening');
  const recording = recorder.run(stop.signal);
  const end = await election.lead(stop.signal, async (signal) => {
    log.info('leading');
    await manager.run(signal);
  });
  // After a lost lease, too: everything ends, the Deployment starts it afresh.
  stop.abort(new Error(end));
  http.close();
  await recording;
  return end;
}

function listenerFor(recorder: EventRecorder, metrics: Metrics, log: Logger): Listener {
  return {
    happened: (event) => {
      const { regarding, reason, note } = event;
      log.info(
        { kind: regarding.kind, namespace: regarding.namespace, name: regarding.name, reason },
        note,
      );
      recorder.record(event);
    },
    checkpointEnded: (checkpoint) => metrics.checkpointEnded(checkpoint),
    restoreEnded: (restore) => metrics.restoreEnded(restore),
    migrationEnded: (migration) => metrics.migrationEnded(migration),
  };
}

function hooksFor(metrics: Metrics, log: Logger): ControllerHooks {
  return {
    reconciled: (event) => {
      metrics.reconciled(event);
      const { controller, key, result, durationMillis, error, failures } = event;
      if (error === undefined) {
        log.debug({ controller, key, result, durationMillis }, 'reconciled');
      } else if (result !== 'conflict') {
        const why = error instanceof Error ? error.message : 'no error object';
        log.warn({ controller, key, failures, why }, 'reconcile failed');
      }
    },
    abandoned: (controller, keys) => log.warn({ controller, keys }, 'work abandoned'),
  };
}

function healthServer(metrics: Metrics, stop: AbortSignal): HealthServer {
  return new HealthServer({
    // A standby is as ready as the leader: it answers, and takes over by itself.
    ready: () => (stop.aborted ? 'stopping' : undefined),
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  });
}

await main();
