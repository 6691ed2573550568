// Whole archives: the same input gives the same bytes, and every digest in them is right.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { extract } from 'tar-stream';
import { fullReference, writeArchive } from './archive.ts';
import { FileTree } from './file-tree.ts';
import { writeLayer } from './layer.ts';

async function unpack(file: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  createReadStream(file).pipe(reader);
  for await (const entry of reader) {
    files.set(entry.header.name, await buffer(entry));
  }
  return files;
}

function sha256(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function sample(order: readonly string[]): FileTree {
  const tree = new FileTree();
  for (const path of order) {
    tree.addFile(path, `content of ${path}`, 0o640);
  }
  tree.add('/link', { type: 'symlink', target: 'a' });
  tree.addDirectory('/tmp', 0o1777);
  return tree;
}

async function build(directory: string, name: string, order: readonly string[]): Promise<string> {
  const layer = await writeLayer(sample(order), join(directory, `${name}.layer`));
  const file = join(directory, `${name}.tar`);
  await writeArchive(file, 'demo/x:dev', [layer], { Entrypoint: ['/a'], User: '1:1' }, 'amd64');
  return file;
}

test('images', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'diapause-test-'));
  t.after(() => rm(directory, { recursive: true }));

  await t.test('do not depend on the order of additions or on the time', async () => {
    const one = await build(directory, 'one', ['/a', '/b/c']);
    const two = await build(directory, 'two', ['/b/c', '/a']);
    assert.deepEqual(readFileSync(one), readFileSync(two));
  });

  await t.test('lead from the index to the files by digests', async () => {
    const files = await unpack(await build(directory, 'three', ['/a', '/b/c']));
    const json = (name: string) => JSON.parse(String(files.get(name)));
    const blob = (digest: string) =>
      files.get(`blobs/sha256/${digest.slice(7)}`) ?? Buffer.alloc(0);
    const [entry] = json('index.json').manifests;
    assert.equal(entry.annotations['io.containerd.image.name'], 'docker.io/demo/x:dev');
    assert.equal(sha256(blob(entry.digest)), entry.digest);
    const manifest = JSON.parse(String(blob(entry.digest)));
    const config = JSON.parse(String(blob(manifest.config.digest)));
    assert.equal(sha256(blob(manifest.config.digest)), manifest.config.digest);
    assert.deepEqual(config.config, { Entrypoint: ['/a'], User: '1:1' });
    const [layer] = manifest.layers;
    assert.deepEqual(config.rootfs.diff_ids, [layer.digest]);
    assert.equal(sha256(blob(layer.digest)), layer.digest);
    assert.equal(blob(layer.digest).length, layer.size);
    const [docker] = json('manifest.json');
    assert.deepEqual(docker.RepoTags, ['demo/x:dev']);
    assert.deepEqual(docker.Layers, [`blobs/sha256/${layer.digest.slice(7)}`]);
  });

  await t.test('hold modes and links, and everything belongs to root', async () => {
    const tree = sample(['/a']);
    const { file } = await writeLayer(tree, join(directory, 'layer.tar'));
    const headers = new Map<string, { mode: number; uid: number; linkname: string }>();
    const reader = extract();
    createReadStream(file).pipe(reader);
    for await (const entry of reader) {
      const { name, mode, uid, linkname } = entry.header;
      headers.set(name, { mode, uid, linkname: linkname ?? '' });
      entry.resume();
    }
    assert.deepEqual(headers.get('a'), { mode: 0o640, uid: 0, linkname: '' });
    assert.deepEqual(headers.get('tmp/'), { mode: 0o1777, uid: 0, linkname: '' });
    assert.equal(headers.get('link')?.linkname, 'a');
  });
});

test('references are stored as containerd looks for them', () => {
  assert.equal(fullReference('demo/redis:dev'), 'docker.io/demo/redis:dev');
  assert.equal(fullReference('diapause.dev/agent:dev'), 'diapause.dev/agent:dev');
  assert.equal(fullReference('localhost:5000/x:1'), 'localhost:5000/x:1');
});
