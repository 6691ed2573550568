// Every metric and label that the dashboard asks for is one that controller or agent really have, and every figure of
// ours is shown somewhere.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { taskMetrics } from '../../node-agent/tasks/task-metrics.ts';
import { Metrics } from '../../src/observability/metrics.ts';

interface Panel {
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets: readonly { readonly expr: string }[];
}

interface KnownMetric {
  readonly type: string;
  readonly labels: readonly string[];
}

const dashboard = JSON.parse(readFileSync(new URL('diapause.json', import.meta.url), 'utf8')) as {
  readonly panels: readonly Panel[];
};
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** Prometheus adds these by itself when it scrapes. */
const SCRAPE_LABELS = ['le', 'instance', 'job'];

function known(): ReadonlyMap<string, KnownMetric> {
  const agent = new Registry();
  const counters = { watchRestarts: 0, failures: 0 };
  taskMetrics(agent).observe({ queueDepth: 0, watchCounters: counters as never });
  const controller = new Metrics();
  controller.observe({
    queueDepths: () => ({}),
    watches: () => ({}),
    events: () => ({ recorded: 0, written: 0, dropped: 0 }),
    leads: () => false,
  });
  const metrics = [agent, controller.registry].flatMap((registry) => registry.getMetricsAsArray());
  return new Map(
    metrics.map((metric) => {
      const {
        name,
        type,
        labelNames = [],
      } = metric as unknown as {
        readonly name: string;
        readonly type: string;
        readonly labelNames?: readonly string[];
      };
      return [name, { type, labels: labelNames }];
    }),
  );
}

const metrics = known();

function metricOf(series: string): KnownMetric | undefined {
  const base = series.replace(/_(bucket|sum|count)$/, '');
  const histogram = metrics.get(base);
  return base !== series && histogram?.type === 'histogram' ? histogram : metrics.get(series);
}

const seriesIn = (expr: string): readonly string[] =>
  expr.match(/\b(diapause|process|nodejs)_[a-z_]+/g) ?? [];

describe('the dashboard', () => {
  it('asks for nothing that does not exist', () => {
    for (const expr of expressions) {
      assert.ok(seriesIn(expr).length > 0, expr);
      for (const series of seriesIn(expr)) {
        const metric = metricOf(series);
        assert.ok(metric, `${series} in ${expr}`);
        // A histogram has no series of its own name, and the parts of no other type exist.
        assert.notEqual(metric.type === 'histogram' && metrics.has(series), true, series);
        const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
          list.split(', '),
        );
        const filtered = [...expr.matchAll(/[{,]\s*([a-z]+)=~?"/g)].map(([, label = '']) => label);
        for (const label of [...grouped, ...filtered]) {
          assert.ok([...SCRAPE_LABELS, ...metric.labels].includes(label), `${label} of ${series}`);
        }
      }
    }
  });

  it('shows every figure of ours', () => {
    const shown = new Set(
      expressions.flatMap(seriesIn).map((series) => series.replace(/_(bucket|sum|count)$/, '')),
    );
    const ours = [...metrics.keys()].filter((name) => name.startsWith('diapause_'));
    assert.ok(ours.length >= 15, String(ours.length));
    assert.deepEqual(
      ours.filter((name) => !shown.has(name)),
      [],
    );
  });

  it('has rates of counters only, and no panel over another', () => {
    for (const expr of expressions) {
      for (const [, series = ''] of expr.matchAll(/(?:rate|increase)\(([a-z_]+)/g)) {
        assert.notEqual(metricOf(series)?.type, 'gauge', expr);
      }
    }
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      for (let column = gridPos.x; column < gridPos.x + gridPos.w; column++) {
        const cell = `${column} ${gridPos.y}`;
        assert.ok(column < 24 && !taken.has(cell), title);
        taken.add(cell);
      }
    }
  });
});
