// The story of one application: saved while it runs, brought back on another node, and compared.
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { Restore } from '../../crds/restore.ts';
import type { Application } from './application.ts';
import { type Check, frozenMillis } from './check.ts';
import { follow } from './follow.ts';
import { checkpoint, restore, toYaml } from './manifests.ts';
import { formatBytes, formatMillis, formatSeconds, type Narrator } from './narrator.ts';
import { retry } from './retry.ts';
import type { Row } from './table.ts';
import type { Target } from './target.ts';

const CHECKPOINT_MILLIS = 120_000;
const RESTORE_MILLIS = 180_000;
const ANSWER_MILLIS = 20_000;

interface Saved<Facts> {
  readonly checkpointName: string;
  readonly checkpoint: Checkpoint;
  readonly before: Facts;
  readonly after: Facts;
}

/** Tells the whole story of one application. */
export async function tell<Facts>(
  app: Application<Facts>,
  target: Target,
  narrator: Narrator,
): Promise<{ readonly row: Row; readonly checks: readonly Check[] }> {
  narrator.chapter(`${app.name}: ${app.about}`);
  const saved = await save(app, target, narrator);
  const source = app.judgeSource(saved.before, saved.after);
  const podName = `${app.name}-b`;
  const restoreMillis = await bringBack(app, saved.checkpointName, podName, target, narrator);
  narrator.say('Asking the restored program what it remembers ...');
  const { kubectl } = target;
  const restored = await app.verifyRestored(kubectl, podName, saved.before, saved.after);
  const checks = [...source.map((one) => ({ ...one, what: `source: ${one.what}` })), ...restored];
  for (const { what, passed, facts } of checks) {
    narrator.say(`  ${passed ? 'ok    ' : 'WRONG '} ${what}${passed ? '' : `: ${facts}`}`);
  }
  return { row: toRow(app, saved, restoreMillis, checks), checks };
}

async function save<Facts>(
  app: Application<Facts>,
  { kubectl }: Target,
  narrator: Narrator,
): Promise<Saved<Facts>> {
  const checkpointName = `${app.name}-1`;
  const before = await app.observe(kubectl, app.name);
  const manifest = toYaml(checkpoint(checkpointName, app.name));
  narrator.say('kubectl apply -f -');
  narrator.show(indent(manifest));
  const began = performance.now();
  await kubectl.apply(manifest);
  const ready = await follow<Checkpoint>(
    kubectl,
    narrator,
    'checkpoint',
    checkpointName,
    CHECKPOINT_MILLIS,
  );
  const timing = ready.status?.timing;
  narrator.say(
    `  ready after ${formatSeconds(performance.now() - began)}; frozen for ${formatMillis(timing?.freezeMillis ?? 0)}, ${formatBytes(ready.status?.bundle?.bytes ?? 0)} stored`,
  );
  const after = await app.observe(kubectl, app.name);
  return { checkpointName, checkpoint: ready, before, after };
}

async function bringBack<Facts>(
  app: Application<Facts>,
  checkpointName: string,
  podName: string,
  { kubectl, targetNode }: Target,
  narrator: Narrator,
): Promise<number> {
  const name = `${app.name}-back`;
  const manifest = toYaml(
    restore({
      name,
      checkpointName,
      podName,
      nodeName: targetNode,
      ...(app.overrides === undefined ? {} : { overrides: app.overrides }),
    }),
  );
  narrator.say('kubectl apply -f -');
  narrator.show(indent(manifest));
  const began = performance.now();
  await kubectl.apply(manifest);
  const ready = await follow<Restore>(kubectl, narrator, 'restore', name, RESTORE_MILLIS);
  const millis = performance.now() - began;
  await retry(ANSWER_MILLIS, () => app.observe(kubectl, podName));
  narrator.say(
    `  ready after ${formatSeconds(millis)}; the processes took ${formatMillis(ready.status?.timing?.restoreMillis ?? 0)}; it answers`,
  );
  return millis;
}

function toRow<Facts>(
  app: Application<Facts>,
  saved: Saved<Facts>,
  restoreMillis: number,
  checks: readonly Check[],
): Row {
  const status = saved.checkpoint.status;
  const containers = status?.containers ?? [];
  const sum = (pick: (container: (typeof containers)[number]) => number): number =>
    containers.reduce((total, container) => total + pick(container), 0);
  return {
    application: app.name,
    processes: sum(({ processes }) => processes),
    threads: sum(({ threads }) => threads),
    memoryBytes: sum(({ memoryBytes }) => memoryBytes),
    frozenMillis: frozenMillis(app.gaps(saved.before, saved.after), status?.timing ?? {}),
    bundleBytes: status?.bundle?.bytes ?? 0,
    restoreMillis,
    verified: summarize(checks),
  };
}

/** What went wrong; else what the restored program showed, and that the source was not disturbed. */
function summarize(checks: readonly Check[]): string {
  const wrong = checks.filter(({ passed }) => !passed);
  if (wrong.length > 0) {
    return `WRONG: ${wrong.map(({ what }) => what).join(', ')}`;
  }
  const restored = checks.filter(({ what }) => !what.startsWith('source: '));
  return [...restored.map(({ what }) => what), 'source undisturbed'].join(', ');
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '             | ');
}
