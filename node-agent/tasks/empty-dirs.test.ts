// emptyDir volumes: which are saved and through whom, that they come before the processes, and what a bundle may say of them.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeManifest, type Manifest } from '../bundle/manifest.ts';
import type { RootfsRequest } from '../bundle/rootfs-diff/protocol.ts';
import type { RootfsWorker } from '../bundle/rootfs-diff/rootfs-worker.ts';
import { parseMountinfo } from '../container/mounts.ts';
import { emptyDirMounts, volumeLosses } from './empty-dirs.ts';
import { Bench, BUNDLE_NAME } from './testing/bench.ts';
import { agentOn } from './testing/run-agent.ts';

const POD = '/pods/1/volumes/kubernetes.io~empty-dir';
const WORK = `10 1 8:1 ${POD}/work /work rw - ext4 /dev/x rw\n`;
const SHARED = `11 1 8:1 ${POD}/work /shared rw - ext4 /dev/x rw\n`;
const PART = `12 1 8:1 ${POD}/work/part /part rw - ext4 /dev/x rw\n`;
const MEMORY = '13 1 0:77 / /cache rw - tmpfs tmpfs rw\n';
const CLAIM = '14 1 8:2 / /data rw - ext4 /dev/y rw\n';

const volumes = [
  { name: 'work', emptyDir: {} },
  { name: 'cache', emptyDir: { medium: 'Memory' } },
  { name: 'diapause-init', emptyDir: {} },
  { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
];
const mount = (name: string, mountPath: string) => ({ name, mountPath });
const seen = (name: string, ...lines: readonly string[]) => ({
  name,
  mounts: parseMountinfo(lines.join('')),
});

describe('emptyDirs of a pod', () => {
  const found = (
    mounting: Readonly<Record<string, readonly object[]>>,
    ...containers: readonly ReturnType<typeof seen>[]
  ) => {
    const of = Object.entries(mounting).map(([name, volumeMounts]) => ({ name, volumeMounts }));
    const { mounts, report } = emptyDirMounts({ spec: { volumes, containers: of } }, containers);
    return [
      ...mounts.map((m) => `${m.container} ${m.volume} ${m.mountPoint}`),
      ...report.map(({ code }) => code),
    ];
  };
  const work = mount('work', '/work');
  for (const [what, actual, expected] of [
    ['one', found({ app: [work] }, seen('app', WORK)), ['app work /work']],
    [
      'one that two containers share',
      found(
        { app: [work], side: [mount('work', '/shared')] },
        seen('app', WORK),
        seen('side', SHARED),
      ),
      ['app work /work'],
    ],
    [
      'a part of it besides',
      found({ app: [work, mount('work', '/part')] }, seen('app', WORK, PART)),
      ['app work /work', 'app work /part'],
    ],
    [
      'memory',
      found({ app: [mount('cache', '/cache/')] }, seen('app', MEMORY)),
      ['app cache /cache'],
    ],
    ['a claim', found({ app: [mount('data', '/data')] }, seen('app', CLAIM)), []],
    ['that of the init', found({ app: [mount('diapause-init', '/work')] }, seen('app', WORK)), []],
    ['of a container that is not saved', found({ other: [work] }, seen('app', WORK)), []],
    [
      'behind a link',
      found({ app: [mount('work', '/var/run')] }, seen('app', WORK)),
      ['EmptyDirNotFound'],
    ],
  ] as const) {
    it(`are found: ${what}`, () => assert.deepEqual(actual, expected));
  }

  it('may be none at all', () => {
    assert.deepEqual(emptyDirMounts(undefined, [seen('app', WORK)]), { mounts: [], report: [] });
  });
});

describe('what a bundle has not of the volumes', () => {
  const app = [{ name: 'app', volumeMounts: [mount('scratch', '/s'), mount('work', '/link')] }];
  const podManifest = { spec: { volumes: [...volumes, { name: 'scratch', ephemeral: {} }] } };
  const withApp = { spec: { ...podManifest.spec, containers: app } };
  const told = (dump: Parameters<typeof volumeLosses>[0], name = 'app'): unknown =>
    volumeLosses(dump, [seen(name, WORK)]).map(({ code, severity }) => `${code} ${severity}`);

  it('is told: what belongs to the pod alone, and what is not found', () => {
    const expected = ['EphemeralVolume loss', 'EmptyDirNotFound loss'];
    assert.deepEqual(told({ podManifest: withApp }), expected);
  });

  it('is told of emptyDirs only where they are wanted', () => {
    assert.deepEqual(told({ podManifest: withApp, emptyDirs: 'None' }), ['EphemeralVolume loss']);
  });

  it('is nothing where no saved container mounts it', () => {
    assert.deepEqual(told({ podManifest: withApp }, 'other'), []);
    assert.deepEqual(told({ podManifest }), []);
    assert.deepEqual(told({ podManifest: null }), []);
  });

  it('is told by a dry run, too', async () => {
    await using bench = await Bench.start('diapause-init');
    await using _agent = await agentOn(bench, { mounts: parseMountinfo(WORK) });
    const dump = bench.giveDump({ dryRun: true, podManifest: withApp });
    const { result } = await bench.untilEnded(dump);
    const codes = result?.report?.map(({ code }) => code);
    assert.deepEqual(codes, ['EphemeralVolume', 'EmptyDirNotFound']);
  });
});

function recordingWorker(requests: RootfsRequest[]): RootfsWorker {
  return {
    run(request) {
      requests.push(request);
      if (request.type !== 'apply') {
        writeFileSync(`${request.outputDirectory}/rootfs-diff.tar`, Buffer.alloc(1024));
        writeFileSync(`${request.outputDirectory}/deleted.files`, '[]');
      }
      return Promise.resolve({ entries: 0, deleted: 0, bytes: 1024, findings: [] });
    },
  };
}

const podManifest = {
  spec: { volumes, containers: [{ name: 'app', volumeMounts: [mount('work', '/work')] }] },
};

async function start(bench: Bench, requests: RootfsRequest[]) {
  return await agentOn(bench, { mounts: parseMountinfo(WORK), rootfs: recordingWorker(requests) });
}

describe('the agent', () => {
  it('saves them after the freeze, and puts them back before the processes', async () => {
    await using bench = await Bench.start('diapause-init');
    const requests: RootfsRequest[] = [];
    await using _agent = await start(bench, requests);
    const { result } = await bench.untilEnded(bench.giveDump({ podManifest }));
    const file = join(bench.volume, 'team', BUNDLE_NAME, 'manifest.json');
    const manifest = decodeManifest(readFileSync(file, 'utf8'));
    const [app] = manifest.containers;
    assert.deepEqual(app?.emptyDirs, [
      { volume: 'work', mountPoint: '/work', folder: 'empty-dir.0' },
    ]);
    assert.ok(manifest.files.some(({ path }) => path === 'app/empty-dir.0/rootfs-diff.tar'));
    bench.scenario([{ do: 'result' }]);
    const status = await bench.untilEnded(bench.giveRestore(result?.bundleDigest ?? ''));
    assert.equal(status.state, 'Succeeded', JSON.stringify(status));
    const [collected, applied] = requests;
    assert.ok(collected?.type === 'collect-volume' && applied?.type === 'apply');
    assert.deepEqual([collected.mountPoint, applied.mountPoint], ['/work', '/work']);
    assert.equal(requests.length, 2);
  });

  it('leaves them where they are if asked to', async () => {
    await using bench = await Bench.start();
    const requests: RootfsRequest[] = [];
    await using _agent = await start(bench, requests);
    const status = await bench.untilEnded(bench.giveDump({ podManifest, emptyDirs: 'None' }));
    assert.equal(status.state, 'Succeeded', JSON.stringify(status));
    assert.deepEqual(requests, []);
  });
});

describe('a manifest', () => {
  it('that leads out of its folder or has no mount point is refused', () => {
    const base = {
      format: 'diapause-bundle',
      schemaVersion: 1,
      requirements: {},
      files: [],
    } as unknown as Manifest;
    const sound = { volume: 'work', mountPoint: '/work', folder: 'empty-dir.0' };
    const decode = (emptyDir: object) =>
      decodeManifest(
        JSON.stringify({ ...base, containers: [{ name: 'app', emptyDirs: [emptyDir] }] }),
      );
    assert.ok(decode(sound));
    for (const bad of [{ folder: '../x' }, { folder: 'checkpoint' }, { mountPoint: 'work' }]) {
      assert.throws(() => decode({ ...sound, ...bad }), /is no emptyDir of app/);
    }
  });
});
