// The first steps of README.md, word for word.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { CHECKOUT, CLUSTER_FOLDER, connect } from './testing/cluster.ts';
import { Scene } from './testing/scene.ts';

const run = promisify(execFile);
const STEP_MILLIS = 120_000;

/** Blocks of the section, in order, `make` left out: the cluster is up. */
function blocks(): readonly string[] {
  const readme = readFileSync(join(CHECKOUT, 'README.md'), 'utf8');
  const [, section = ''] = /^## First steps\n(.*?)^Or by the command line/ms.exec(readme) ?? [];
  const found = [...section.matchAll(/^```(?:yaml)?\n(.*?)^```$/gms)].map(([, text]) => text ?? '');
  return found.map((text) => text.replace(/^(make|export) .*\n/gm, ''));
}

it('the first steps of the README do what they say', async () => {
  const cluster = connect();
  await using scene = await Scene.create(cluster, 'readme', { level: 'privileged', store: false });
  const [before, manifests, afterwards] = blocks();
  assert.ok(before && manifests && afterwards, 'three blocks');
  const shell = async (script: string): Promise<string> => {
    // The README works in the namespace that is chosen; here it is the scene's own.
    const kubectl = `kubectl() { command kubectl -n ${scene.namespace} "$@"; }; set -e\n`;
    const { stdout } = await run('bash', ['-c', kubectl + script], {
      cwd: CHECKOUT,
      timeout: STEP_MILLIS,
      env: {
        ...process.env,
        KUBECONFIG: join(CLUSTER_FOLDER, 'kubeconfig'),
        PATH: `${join(CLUSTER_FOLDER, 'bin')}:${process.env['PATH'] ?? ''}`,
      },
    });
    return stdout;
  };
  await shell(before);
  await scene.kubectl.apply(manifests);
  const said = await shell(afterwards);
  assert.match(said, /^hello$/m);
  assert.match(said, /checkpoint\S*redis-1\s+redis\s+True\s+Completed/);
  assert.match(said, /restore\S*redis-back\s+redis-1\s+redis-b\s+True\s+Completed/);
});
