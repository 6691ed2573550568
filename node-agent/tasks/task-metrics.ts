// Figures about tasks, for Prometheus.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { NodeTaskSpec } from '../../crds/node-task.ts';
import type { Outcome } from './outcome.ts';

/** From well below what a probe notices up to where one kills. */
const FREEZE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface TaskMetrics {
  began(): void;
  ended(type: NodeTaskSpec['type'], outcome: Outcome | undefined): void;
}

export function taskMetrics(registry: Registry): TaskMetrics {
  const registers = [registry];
  const running = new Gauge({
    name: 'diapause_agent_tasks_running',
    help: 'NodeTasks being worked on',
    registers,
  });
  const total = new Counter({
    name: 'diapause_agent_tasks_total',
    help: 'NodeTasks that ended, by type, state and error code',
    labelNames: ['type', 'state', 'code'],
    registers,
  });
  const freeze = new Histogram({
    name: 'diapause_agent_freeze_seconds',
    help: 'How long applications stood still for a dump',
    buckets: FREEZE_BUCKETS_SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: 'diapause_agent_bundle_bytes_total',
    help: 'Bytes of bundles written',
    registers,
  });
  return {
    began: () => running.inc(),
    ended: (type, outcome) => {
      running.dec();
      total.inc({ type, state: outcome?.state ?? 'HandedOver', code: outcome?.error?.code ?? '' });
      if (type === 'Dump' && outcome?.state === 'Succeeded') {
        freeze.observe((outcome.result?.freezeMillis ?? 0) / 1000);
        bytes.inc(outcome.result?.bundleBytes ?? 0);
      }
    },
  };
}
