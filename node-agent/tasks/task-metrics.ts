// Figures about tasks, for Prometheus. Names end with their unit; deploy/grafana shows them.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { NodeTaskSpec } from '../../crds/node-task.ts';
import type { ListWatchCounters } from '../../kube/list-watch.ts';
import type { Outcome } from './outcome.ts';

/** From well below what a probe notices up to where one kills. */
const FREEZE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From the stages inside a freeze to the copy of hundreds of gigabytes. */
const STAGE_BUCKETS_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60, 300, 1800];

type TaskType = NodeTaskSpec['type'];

export interface TaskMetrics {
  began(): void;
  ended(type: TaskType, outcome: Outcome | undefined): void;
  /** how long each stage of one task lasted */
  stages(type: TaskType, stageMillis: Readonly<Record<string, number>>): void;
  /** Adds the figures that are read when somebody asks. */
  observe(sources: TaskSources): void;
}

export interface TaskSources {
  /** tasks waiting for their turn */
  readonly queueDepth: number;
  readonly watchCounters: Readonly<ListWatchCounters>;
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
  const stage = new Histogram({
    name: 'diapause_agent_stage_seconds',
    help: 'How long the stages of tasks lasted, by type and stage',
    labelNames: ['type', 'stage'],
    buckets: STAGE_BUCKETS_SECONDS,
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
    stages: (type, stageMillis) => {
      for (const [name, millis] of Object.entries(stageMillis)) {
        stage.observe({ type, stage: name }, millis / 1000);
      }
    },
    observe: (sources) => observe(registers, sources),
  };
}

function observe(registers: Registry[], sources: TaskSources): void {
  new Gauge({
    name: 'diapause_agent_queue_depth',
    help: 'NodeTasks waiting for their turn',
    registers,
    collect() {
      this.set(sources.queueDepth);
    },
  });
  for (const [name, counter, help] of [
    ['restarts', 'watchRestarts', 'Watches of NodeTasks opened after the first of each list'],
    ['failures', 'failures', 'Lists and watches of NodeTasks that failed'],
  ] as const) {
    new Counter({
      name: `diapause_agent_watch_${name}_total`,
      help,
      registers,
      collect() {
        // They are counted where they happen; here they are only told.
        this.reset();
        this.inc(sources.watchCounters[counter]);
      },
    });
  }
}
