// `make demo`: boots or takes a cluster, saves three real applications while they run, brings them back on another
// node, and compares. Leaves everything up.
import { resolve } from 'node:path';
import process from 'node:process';
import type { Application } from './application.ts';
import type { Check } from './check.ts';
import { futex } from './futex.ts';
import { namespace, storeWithClaim, toYaml } from './manifests.ts';
import { Narrator } from './narrator.ts';
import { python } from './python.ts';
import { redis } from './redis.ts';
import { tell } from './story.ts';
import { type Row, renderTable } from './table.ts';
import { foreignCluster, NAMESPACE, OWN_KUBECONFIG, ownCluster, type Target } from './target.ts';

/** A fresh namespace, so that a second run tells the same story. */
async function prepareNamespace({ kubectl, sourceNode, targetNode }: Target): Promise<void> {
  await kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  await kubectl.apply(toYaml(namespace));
  await kubectl.apply(toYaml(...storeWithClaim(sourceNode !== targetNode)));
}

async function startApplication<Facts>(
  app: Application<Facts>,
  { kubectl, sourceNode }: Target,
  narrator: Narrator,
): Promise<void> {
  await kubectl.apply(toYaml(...app.pods(sourceNode)));
  await kubectl.run(['wait', '--for=condition=Ready', `pod/${app.name}`, '--timeout=120s']);
  narrator.say(`  ${app.name} runs on ${sourceNode}; ${await app.prepare(kubectl, sourceNode)}`);
}

async function main(): Promise<number> {
  const narrator = new Narrator();
  narrator.chapter('A cluster');
  const kubeconfig = process.env['KUBECONFIG'] ?? '';
  const target =
    kubeconfig === '' || resolve(kubeconfig) === OWN_KUBECONFIG
      ? await ownCluster(narrator)
      : await foreignCluster(kubeconfig, narrator);
  const { kubectl } = target;

  narrator.chapter('Applications');
  await narrator.step(`A fresh namespace ${NAMESPACE}, a claim, a CheckpointStore`, () =>
    prepareNamespace(target),
  );
  const rows: Row[] = [];
  const checks: Check[] = [];
  const run = async <Facts>(app: Application<Facts>): Promise<void> => {
    const told = await tell(app, target, narrator);
    rows.push(told.row);
    checks.push(...told.checks);
  };
  const apps = { redis: redis(), python: python(), futex: futex() };
  await startApplication(apps.redis, target, narrator);
  await startApplication(apps.python, target, narrator);
  await startApplication(apps.futex, target, narrator);
  await run(apps.redis);
  await run(apps.python);
  await run(apps.futex);

  narrator.chapter('What is there now');
  narrator.show(await kubectl.run(['get', 'chk,rst', '-o', 'wide']));
  narrator.show(await kubectl.run(['get', 'pods', '-o', 'wide']));
  narrator.chapter('Result (frozen: the longest gap that the application saw itself)');
  narrator.show(renderTable(rows));
  const wrong = checks.filter(({ passed }) => !passed).length;
  narrator.show(`
${wrong === 0 ? 'Everything was as it must be.' : `${wrong} of ${checks.length} checks failed.`} The cluster stays up:
  ${target.hint}
  kubectl -n ${NAMESPACE} get pods,chk,rst
  make cluster-down   # removes it again`);
  return wrong === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(
    `\nThe demo stopped: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}
