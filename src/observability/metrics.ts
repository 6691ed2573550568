// Figures for Prometheus. Names end with their unit; deploy/grafana shows them.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Condition } from '../../crds/meta.ts';
import type { Migration } from '../../crds/migration.ts';
import type { Restore } from '../../crds/restore.ts';
import { findCondition } from '../../kube/conditions.ts';
import type { ControllerHooks } from '../../kube/controller.ts';
import type { EventCounters } from '../../kube/events.ts';
import type { ListWatchCounters } from '../../kube/list-watch.ts';

const FREEZE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60];
const DURATION_SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
const BUNDLE_BYTES = [2 ** 20, 2 ** 23, 2 ** 26, 2 ** 28, 2 ** 30, 2 ** 32, 2 ** 34, 2 ** 36];
const RECONCILE_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30];

type Reconciled = Parameters<NonNullable<ControllerHooks['reconciled']>>[0];

/** What is asked for anew at each scrape. */
export interface MetricSources {
  /** keys waiting, by controller */
  queueDepths(): Readonly<Record<string, number>>;
  /** what lists and watches went through so far, by kind */
  watches(): Readonly<Record<string, Readonly<ListWatchCounters>>>;
  /** events written and lost */
  events(): Readonly<EventCounters>;
  leads(): boolean;
}

/** An object whose work has ended. */
interface Ended {
  readonly kind: string;
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly timing?: { readonly startTime?: string; readonly completionTime?: string };
  };
}

export class Metrics {
  readonly registry = new Registry();
  readonly #reconciles: Histogram<'controller' | 'result'>;
  readonly #operations: Counter<'kind' | 'result' | 'reason'>;
  readonly #operationSeconds: Histogram<'kind'>;
  readonly #freezeSeconds: Histogram;
  readonly #bundleBytes: Histogram;
  readonly #downtimeSeconds: Histogram;

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Histogram({
      name: 'diapause_reconcile_seconds',
      help: 'Time of one reconcile',
      labelNames: ['controller', 'result'],
      buckets: RECONCILE_SECONDS,
      registers,
    });
    this.#operations = new Counter({
      name: 'diapause_operations_total',
      help: 'Checkpoints, Restores and other work that became ready or failed, by kind, result and reason',
      labelNames: ['kind', 'result', 'reason'],
      registers,
    });
    this.#operationSeconds = new Histogram({
      name: 'diapause_operation_seconds',
      help: 'Time from the start of successful work to its end, by kind',
      labelNames: ['kind'],
      buckets: DURATION_SECONDS,
      registers,
    });
    this.#freezeSeconds = new Histogram({
      name: 'diapause_freeze_seconds',
      help: 'How long pods stood still',
      buckets: FREEZE_SECONDS,
      registers,
    });
    this.#bundleBytes = new Histogram({
      name: 'diapause_bundle_bytes',
      help: 'Size of bundles',
      buckets: BUNDLE_BYTES,
      registers,
    });
    this.#downtimeSeconds = new Histogram({
      name: 'diapause_migration_downtime_seconds',
      help: 'How long no process of a migrated pod ran',
      buckets: FREEZE_SECONDS,
      registers,
    });
  }

  /** Adds the figures that are read when somebody asks. */
  observe(sources: MetricSources): void {
    const registers = [this.registry];
    new Gauge({
      name: 'diapause_queue_depth',
      help: 'Keys waiting to be reconciled, by controller',
      labelNames: ['controller'],
      registers,
      collect() {
        for (const [controller, depth] of Object.entries(sources.queueDepths())) {
          this.set({ controller }, depth);
        }
      },
    });
    new Gauge({
      name: 'diapause_leader',
      help: '1 while this replica does the work',
      registers,
      collect() {
        this.set(sources.leads() ? 1 : 0);
      },
    });
    observeWatches(registers, sources);
    observeEvents(registers, sources);
  }

  reconciled({ controller, result, durationMillis }: Reconciled): void {
    this.#reconciles.observe({ controller, result }, durationMillis / 1000);
  }

  checkpointEnded(checkpoint: Checkpoint): void {
    this.ended(checkpoint);
    const { freezeMillis } = checkpoint.status?.timing ?? {};
    if (freezeMillis !== undefined) {
      this.#freezeSeconds.observe(freezeMillis / 1000);
    }
    if (checkpoint.status?.bundle !== undefined) {
      this.#bundleBytes.observe(checkpoint.status.bundle.bytes);
    }
  }

  restoreEnded(restore: Restore): void {
    this.ended(restore);
  }

  /** For every kind that is work: it became ready or failed just now. */
  ended({ kind, status }: Ended): void {
    const ready = findCondition(status?.conditions, 'Ready');
    const result = ready?.status === 'True' ? 'ready' : 'failed';
    this.#operations.inc({ kind, result, reason: ready?.reason ?? 'Unknown' });
    const { startTime = '', completionTime = '' } = status?.timing ?? {};
    const millis = Date.parse(completionTime) - Date.parse(startTime);
    if (result === 'ready' && Number.isFinite(millis)) {
      this.#operationSeconds.observe({ kind }, millis / 1000);
    }
  }

  migrationEnded(migration: Migration): void {
    this.ended(migration);
    const { status } = migration;
    const isReady = findCondition(status?.conditions, 'Ready')?.status === 'True';
    if (isReady && status?.downtimeMillis !== undefined) {
      this.#downtimeSeconds.observe(status.downtimeMillis / 1000);
    }
  }
}

const WATCH_COUNTERS = [
  ['restarts', 'watchRestarts', 'Watches opened after the first of each list'],
  ['relists', 'relists', 'Lists made necessary by a version that was too old, or by refusals'],
  ['failures', 'failures', 'Lists and watches that failed'],
] as const;

function observeWatches(registers: Registry[], sources: MetricSources): void {
  for (const [name, counter, help] of WATCH_COUNTERS) {
    new Counter({
      name: `diapause_watch_${name}_total`,
      help: `${help}, by kind`,
      labelNames: ['kind'],
      registers,
      collect() {
        // They are counted where they happen; here they are only told.
        this.reset();
        for (const [kind, counters] of Object.entries(sources.watches())) {
          this.inc({ kind }, counters[counter]);
        }
      },
    });
  }
}

function observeEvents(registers: Registry[], sources: MetricSources): void {
  new Counter({
    name: 'diapause_events_total',
    help: 'Events for people: recorded, written, and dropped because the API server did not take them',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(sources.events())) {
        this.inc({ result }, Number(count));
      }
    },
  });
}
