// Restore against an engine that does as told: what is judged before the first change, and what a failure says.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NodeTaskStatus } from '../../crds/node-task.ts';
import type { RootfsRequest } from '../bundle/rootfs-diff/protocol.ts';
import type { RootfsWorker } from '../bundle/rootfs-diff/rootfs-worker.ts';
import { parseMountinfo } from '../container/mounts.ts';
import { Bench, BUNDLE_NAME, CONTAINERS } from './testing/bench.ts';
import type { FakeToolsOptions } from './testing/fake-tools.ts';
import { agentOn, type RunningAgent } from './testing/run-agent.ts';
import { SUCCESS } from './testing/scenario.ts';

const LAYERS = { fsType: 'overlay', readOnly: false, layers: { upper: '/u', lowers: ['/l'] } };

/** Writes what the real worker would, and remembers what it was asked. */
function recordingWorker(requests: RootfsRequest[]): RootfsWorker {
  return {
    run(request) {
      requests.push(request);
      if (request.type === 'collect') {
        writeFileSync(`${request.outputDirectory}/rootfs-diff.tar`, Buffer.alloc(1024));
        writeFileSync(`${request.outputDirectory}/deleted.files`, '[]');
      }
      return Promise.resolve({ entries: 0, deleted: 0, bytes: 1024, findings: [] });
    },
  };
}

interface Prepared extends AsyncDisposable {
  readonly bench: Bench;
  readonly digest: string;
  readonly requests: readonly RootfsRequest[];
}

/** A bench with a placeholder and a bundle. */
async function prepare(options: FakeToolsOptions = {}): Promise<Prepared> {
  const bench = await Bench.start('diapause-init');
  const requests: RootfsRequest[] = [];
  const rootfs = recordingWorker(requests);
  const agent: RunningAgent = await agentOn(
    bench,
    Object.assign(options, { root: LAYERS, rootfs }),
  );
  const { result } = await bench.untilEnded(bench.giveDump());
  bench.scenario([{ do: 'result' }]);
  return {
    bench,
    digest: result?.bundleDigest ?? '',
    requests,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

async function assertRefused(
  { bench, requests }: Prepared,
  status: NodeTaskStatus,
  code: string,
): Promise<void> {
  assert.equal(status.error?.code, code, JSON.stringify(status));
  assert.deepEqual(
    requests.filter(({ type }) => type === 'apply'),
    [],
    'nothing was changed',
  );
  assert.equal(bench.victimState, 'S');
}

test('files first, then processes', async () => {
  await using prepared = await prepare();
  const { bench, digest, requests } = prepared;
  const status = await bench.untilEnded(bench.giveRestore(digest));
  assert.equal(status.state, 'Succeeded', JSON.stringify(status));
  assert.equal(status.result?.restoreMillis, 2.5);
  assert.equal(status.result?.containers?.[0]?.rootfsDiffBytes, 1024);
  assert.deepEqual(
    requests.map(({ type }) => type),
    ['collect', 'apply'],
  );
});

test('a flipped byte in any file, also one that the engine would not read', async () => {
  await using prepared = await prepare();
  const { bench, digest } = prepared;
  const folder = join(bench.volume, 'team', BUNDLE_NAME);
  for (const file of ['app/checkpoint/pages-1.img', 'app/bind.mounts', 'pod.dump']) {
    const path = join(folder, file);
    const original = readFileSync(path);
    const damaged = Buffer.from(original);
    damaged[0] = damaged[0]! ^ 0x80;
    writeFileSync(path, damaged);
    const status = await bench.untilEnded(bench.giveRestore(digest));
    await assertRefused(prepared, status, 'BundleCorrupt');
    assert.match(status.error?.message ?? '', new RegExp(file.replace('.', '\\.')));
    writeFileSync(path, original);
  }
});

test('another image, an unknown container, a bundle that is not there', async () => {
  await using prepared = await prepare();
  const { bench, digest } = prepared;
  const [container] = CONTAINERS;
  assert.ok(container !== undefined);
  for (const [changes, code] of [
    [{ imageID: `sha256:${'2'.repeat(64)}` }, 'ImageMismatch'],
    [{ name: 'other' }, 'ContainerNotFound'],
  ] as const) {
    const containers = [{ ...container, ...changes }];
    const status = await bench.untilEnded(bench.giveRestore(digest, { containers }));
    await assertRefused(prepared, status, code);
  }
  const store = {
    holder: { namespace: 'team', name: 'h', uid: 'h' },
    holderContainerID: '',
    mountPath: '/store',
  };
  const missing = { store: { ...store, bundlePath: 'team/none' } };
  const status = await bench.untilEnded(bench.giveRestore(digest, missing));
  await assertRefused(prepared, status, 'BundleMissing');
});

test('a mount that the saved pod had and the new one lacks', async () => {
  const options = { mounts: parseMountinfo('1 0 0:1 / /data rw - ext4 /dev/x rw\n') };
  await using prepared = await prepare(options);
  const { bench, digest } = prepared;
  options.mounts.length = 0;
  const status = await bench.untilEnded(bench.giveRestore(digest));
  await assertRefused(prepared, status, 'MountMismatch');
  assert.match(status.error?.message ?? '', /\/data/);
});

test('an engine that refuses or dies says so itself', async () => {
  await using prepared = await prepare();
  const { bench, digest } = prepared;
  const failure = { code: 'PidTaken', message: 'pid 7 stays taken' };
  bench.scenario([
    { do: 'say', event: { event: 'failed', failure } },
    { do: 'exit', status: 1 },
  ]);
  const refused = await bench.untilEnded(bench.giveRestore(digest));
  assert.equal(refused.error?.code, 'PidTaken');
  assert.equal(refused.error.message, 'pid 7 stays taken');
  bench.scenario([...SUCCESS.slice(0, 1), { do: 'exit', status: 9, lastWords: 'oh' }]);
  const died = await bench.untilEnded(bench.giveRestore(digest));
  assert.equal(died.error?.code, 'EngineFailed');
  assert.match(died.error.message, /exit status 9.*oh/);
  assert.deepEqual(readdirSync(join(bench.volume, 'team')), [BUNDLE_NAME]);
});
