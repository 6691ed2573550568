// Restores that cannot be: refused with a reason and advice before the first process is made; the new pod goes again,
// bundle and bystanders stay as they are.
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Checkpoint } from '../../crds/checkpoint.ts';
import type { NewPod } from '../../crds/restore.ts';
import { toYaml } from '../../deploy/demo/manifests.ts';
import type { Pod } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed, assertUnharmed } from './testing/expectations.ts';
import { CHANGING_IMAGE, loadChangingImage } from './testing/odd-images.ts';
import { bundleName, Scene, verdict } from './testing/scene.ts';
import { flipBit, replaceByLink, shorten } from './testing/tamper.ts';
import { ballast, witness } from './testing/witness.ts';

interface BadRestore {
  readonly what: string;
  /** default: a sound one */
  readonly checkpoint?: string;
  readonly newPod?: NewPod;
  readonly timeoutSeconds?: number;
  readonly says: RegExp;
}

/** A Checkpoint each, whose bundle is changed before the Restore. */
const DAMAGES: Readonly<Record<string, (bundle: string) => void>> = {
  manifest: (bundle) => flipBit(bundle, 'manifest.json'),
  pages: (bundle) => flipBit(bundle, 'main/checkpoint/pages-1.img'),
  core: (bundle) => flipBit(bundle, `main/checkpoint/${coreOf(bundle)}`),
  pod: (bundle) => flipBit(bundle, 'pod.dump'),
  short: (bundle) => shorten(bundle, 'main/checkpoint/pages-1.img'),
  lost: (bundle) => rmSync(bundle, { recursive: true }),
  link: replaceByLink,
};

const CASES: readonly BadRestore[] = [
  { what: 'a Checkpoint that does not exist', checkpoint: 'none', says: /^CheckpointNotFound: / },
  { what: 'a Checkpoint that failed', checkpoint: 'failed', says: /^CheckpointFailed: .*nobody/ },
  {
    what: 'a Checkpoint that does not become ready',
    checkpoint: 'waiting',
    // Long enough for a busy controller to have looked.
    timeoutSeconds: 12,
    says: /^TimedOut: .*"waiting" is not ready/,
  },
  { what: 'a bit flipped in the manifest', checkpoint: 'manifest', says: /^BundleCorrupt: / },
  { what: 'a bit flipped in a page', checkpoint: 'pages', says: /^BundleCorrupt: .*pages-1.img/ },
  { what: 'a bit flipped in a core', checkpoint: 'core', says: /^BundleCorrupt: .*core-/ },
  { what: 'a bit flipped in the pod', checkpoint: 'pod', says: /^BundleCorrupt: .*pod.dump/ },
  { what: 'a file that became shorter', checkpoint: 'short', says: /^BundleCorrupt: .*pages-1/ },
  { what: 'a bundle that is gone', checkpoint: 'lost', says: /^BundleMissing: / },
  { what: 'a link in place of the bundle', checkpoint: 'link', says: /^BundleInvalid: .*link/ },
  {
    what: 'a path to the bundle of another namespace',
    checkpoint: 'outside',
    says: /^BundleInvalid: .*not inside the folder of the namespace/,
  },
  {
    what: 'a pod name that is taken',
    newPod: { name: 'witness' },
    says: /^PodNameTaken: .*"witness"/,
  },
  {
    what: 'a node that does not exist',
    newPod: { nodeName: 'node-c' },
    says: /^NodeNotFound: .*"node-c"/,
  },
  {
    what: 'a container that the Checkpoint does not have',
    newPod: { overrides: { env: [{ container: 'other', name: 'A', value: 'b' }] } },
    says: /^PodUnsupported: .*other/,
  },
  {
    what: 'a limit below the saved memory',
    checkpoint: 'heavy',
    newPod: { nodeName: 'node-b', overrides: { resources: [{ limits: { memory: '16Mi' } }] } },
    says: /^LimitTooSmall: .*memory limit is 16777216/,
  },
  {
    what: 'an image that is another one by now',
    checkpoint: 'changing',
    newPod: { nodeName: 'node-b' },
    says: /^ImageMismatch: /,
  },
];

function coreOf(bundle: string): string {
  const files = readdirSync(join(bundle, 'main/checkpoint'));
  return files.find((name) => name.startsWith('core-')) ?? '';
}

const cluster = connect();

describe('a Restore of what cannot be brought back', { concurrency: 4 }, () => {
  let scene: Scene;
  let bystanders: readonly Pod[];
  let bundles: readonly string[];

  before(async () => {
    await loadChangingImage(1);
    scene = await Scene.create(cluster, 'bad-restore');
    const changing = witness({ name: 'changing', container: { image: CHANGING_IMAGE } });
    bystanders = await scene.run(witness(), ballast(24), changing);
    const { nodeName: _nowhere, ...anywhere } = witness().spec;
    const spec = { ...anywhere, nodeSelector: { nowhere: 'true' } };
    const unschedulable = { metadata: { name: 'unschedulable' }, spec };
    await scene.kubectl.apply(toYaml({ apiVersion: 'v1', kind: 'Pod', ...unschedulable }));
    await saveAll(scene);
    bundles = await scene.stored();
    await loadChangingImage(2);
  });

  for (const [index, bad] of CASES.entries()) {
    it(`${bad.what}: ${String(bad.says).slice(2, 18)}`, async () => {
      const { checkpoint = 'sound', newPod, timeoutSeconds } = bad;
      const name = `bad-${index}`;
      await scene.restore(name, checkpoint, {
        ...(newPod && { target: { newPod } }),
        ...(timeoutSeconds && { timeoutSeconds }),
      });
      assertFailed(await scene.settledRestore(name), bad.says);
      if (newPod?.name === undefined) {
        const gone = () => scene.findPod(name);
        await eventually('the new pod goes', gone, (found) => found === undefined);
      }
    });
  }

  it('somebody who may not: Forbidden', async () => {
    const manifest = toYaml({
      apiVersion: 'diapause.dev/v1alpha1',
      kind: 'Restore',
      metadata: { name: 'forbidden' },
      spec: { checkpointRef: { name: 'sound' } },
    });
    const { namespace } = scene;
    const bind = ['create', 'rolebinding', 'editor', '--clusterrole=edit', '--user=editor'];
    await scene.kubectl.run(bind);
    const apply = ['apply', '-f', '-', '--as=editor'];
    const refused =
      /Forbidden.*editor needs the verb restore on the Checkpoint sound.*diapause-restore/s;
    await eventually(
      `the role reaches the authorizer of ${namespace}`,
      () => scene.kubectl.run(apply, manifest).catch(String),
      (answer) => refused.test(answer),
      20_000,
    );
  });

  after(async () => {
    try {
      // "lost" has no bundle any more and "link" is one: the rest is as it was.
      await scene.untilNothingIsLeft(bundles.filter((name) => !name.startsWith('lost-')));
      for (const pod of bystanders) {
        assertUnharmed(pod, await scene.pod(pod.metadata.name));
      }
    } finally {
      await scene[Symbol.asyncDispose]();
    }
  });
});

async function saveAll(scene: Scene): Promise<void> {
  const sources: Readonly<Record<string, string>> = {
    sound: 'witness',
    outside: 'witness',
    heavy: 'ballast',
    changing: 'changing',
    ...Object.fromEntries(Object.keys(DAMAGES).map((name) => [name, 'witness'])),
  };
  const manifests = Object.entries({ ...sources, failed: 'nobody', waiting: 'unschedulable' });
  await Promise.all(manifests.map(([name, pod]) => scene.checkpoint(name, pod)));
  const saved = new Map<string, Checkpoint>();
  for (const name of Object.keys(sources)) {
    const checkpoint = await scene.settledCheckpoint(name);
    assert.match(verdict(checkpoint), /^Completed: /, name);
    saved.set(name, checkpoint);
  }
  const folder = join(await scene.volume(), scene.namespace);
  for (const [name, damage] of Object.entries(DAMAGES)) {
    damage(join(folder, bundleName(saved.get(name)!)));
  }
  const path = `kube-system/${bundleName(saved.get('outside')!)}`;
  const patch = JSON.stringify({ status: { bundle: { path } } });
  const subresource = ['--subresource=status', '--type=merge', '-p', patch];
  await scene.kubectl.run(['patch', 'chk', 'outside', ...subresource]);
}
