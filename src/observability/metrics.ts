// Figures for Prometheus.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Restore } from '../../crds/restore.ts';
import { findCondition } from '../../kube/conditions.ts';
import type { ControllerHooks } from '../../kube/controller.ts';

const FREEZE_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60];
const DURATION_SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
const BUNDLE_BYTES = [2 ** 20, 2 ** 23, 2 ** 26, 2 ** 28, 2 ** 30, 2 ** 32, 2 ** 34, 2 ** 36];
const RECONCILE_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30];

type Reconciled = Parameters<NonNullable<ControllerHooks['reconciled']>>[0];

/** What is asked for anew at each scrape. */
export interface MetricSources {
  /** keys waiting, by controller */
  queueDepths(): Readonly<Record<string, number>>;
  /** failures of lists and watches so far, by kind */
  watchFailures(): Readonly<Record<string, number>>;
  leads(): boolean;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #reconciles: Histogram<'controller' | 'result'>;
  readonly #checkpoints: Counter<'reason'>;
  readonly #restores: Counter<'reason'>;
  readonly #checkpointSeconds: Histogram;
  readonly #freezeSeconds: Histogram;
  readonly #bundleBytes: Histogram;
  readonly #restoreSeconds: Histogram;

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
    this.#checkpoints = new Counter({
      name: 'diapause_checkpoints_total',
      help: 'Checkpoints that became ready or failed, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.#restores = new Counter({
      name: 'diapause_restores_total',
      help: 'Restores that became ready or failed, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.#checkpointSeconds = new Histogram({
      name: 'diapause_checkpoint_seconds',
      help: 'Time from the start of a successful Checkpoint to its end',
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
    this.#restoreSeconds = new Histogram({
      name: 'diapause_restore_seconds',
      help: 'Time from the start of a successful Restore to its end',
      buckets: DURATION_SECONDS,
      registers,
    });
  }

  /** Adds the figures that are read when somebody asks. */
  observe(sources: MetricSources): void {
    const registers = [this.registry];
    labelledGauge('diapause_queue_depth', 'Keys waiting', 'controller', registers, () =>
      sources.queueDepths(),
    );
    labelledGauge('diapause_watch_failures', 'Failed lists and watches', 'kind', registers, () =>
      sources.watchFailures(),
    );
    new Gauge({
      name: 'diapause_leader',
      help: '1 while this replica does the work',
      registers,
      collect() {
        this.set(sources.leads() ? 1 : 0);
      },
    });
  }

  reconciled({ controller, result, durationMillis }: Reconciled): void {
    this.#reconciles.observe({ controller, result }, durationMillis / 1000);
  }

  checkpointEnded({ status }: Checkpoint): void {
    const ready = findCondition(status?.conditions, 'Ready');
    this.#checkpoints.inc({ reason: ready?.reason ?? 'Unknown' });
    const { freezeMillis } = status?.timing ?? {};
    if (freezeMillis !== undefined) {
      this.#freezeSeconds.observe(freezeMillis / 1000);
    }
    if (status?.bundle !== undefined) {
      this.#bundleBytes.observe(status.bundle.bytes);
    }
    if (ready?.status === 'True') {
      observeSpan(this.#checkpointSeconds, status?.timing);
    }
  }

  restoreEnded({ status }: Restore): void {
    const ready = findCondition(status?.conditions, 'Ready');
    this.#restores.inc({ reason: ready?.reason ?? 'Unknown' });
    if (ready?.status === 'True') {
      observeSpan(this.#restoreSeconds, status?.timing);
    }
  }
}

function observeSpan(
  histogram: Histogram,
  timing: { readonly startTime?: string; readonly completionTime?: string } | undefined,
): void {
  const millis = Date.parse(timing?.completionTime ?? '') - Date.parse(timing?.startTime ?? '');
  if (Number.isFinite(millis)) {
    histogram.observe(millis / 1000);
  }
}

function labelledGauge(
  name: string,
  help: string,
  label: string,
  registers: Registry[],
  values: () => Readonly<Record<string, number>>,
): void {
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers,
    collect() {
      for (const [key, value] of Object.entries(values())) {
        this.set({ [label]: key }, value);
      }
    },
  });
}
