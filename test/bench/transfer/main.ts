// What a transfer between two agents costs: one process sends a bundle to another over loopback, through files on the disk
// as a migration with strategy Direct does. `node test/bench/transfer/main.ts --mib 1024`, with --cpu-prof profiles both.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Manifest, ManifestFile } from '../../../node-agent/bundle/manifest.ts';
import { encodeManifest } from '../../../node-agent/bundle/manifest.ts';
import { TEST_REQUIREMENTS } from '../../../node-agent/bundle/testing/volume.ts';
import { makeIdentity } from '../../../node-agent/transfer/certificate.ts';
import { connectToPeer, type Endpoint } from '../../../node-agent/transfer/connect.ts';
import { LocalSpace } from '../../../node-agent/transfer/local-space.ts';
import { Sender } from '../../../node-agent/transfer/sender.ts';
import { Usage } from './usage.ts';

const RECEIVER = fileURLToPath(new URL('receiver.ts', import.meta.url));
const MIB = 1 << 20;

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '1024' }, directory: { type: 'string' } },
});
const bytes = Number(values.mib) * MIB;

const folder = makeFolder();
try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const { signal } = new AbortController();
  const space = new LocalSpace(join(folder, 'source'));
  await using staging = await space.create('sent');
  writePages(join(staging.directory.externalPath, 'app', 'checkpoint'));
  const receiver = fork(RECEIVER, [join(folder, 'target')], { execArgv: process.execArgv });
  const identity = makeIdentity();
  const [endpoint] = (await once(receiver, 'message')) as [Endpoint];
  receiver.send(identity.fingerprint);
  const socket = await connectToPeer(endpoint, identity, signal);
  await using sender = new Sender({ socket, signal });
  await sender.offer(bytes);
  const usage = new Usage();
  const files = await sender.sendTree(staging.directory, () => undefined);
  await sender.finish(Buffer.from(encodeManifest(manifestOf(files))));
  process.stdout.write(`${usage.tell('source', bytes)}\n`);
  await once(receiver, 'exit');
}

/** On a real disk below the checkout, unless told otherwise. */
function makeFolder(): string {
  const parent =
    values.directory ?? fileURLToPath(new URL('../../../.cache/bench', import.meta.url));
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'transfer-'));
}

/** Random, and on the disk, as an engine leaves them that writes past the page cache. */
function writePages(images: string): void {
  mkdirSync(images, { recursive: true });
  const block = randomFillSync(Buffer.alloc(16 * MIB));
  const fd = openSync(join(images, 'pages-1.img'), 'w');
  for (let done = 0; done < bytes; ) {
    done += writeSync(fd, block, 0, Math.min(block.length, bytes - done));
  }
  fsyncSync(fd);
  closeSync(fd);
}

function manifestOf(files: readonly ManifestFile[]): Manifest {
  return {
    format: 'diapause-bundle',
    schemaVersion: 1,
    engine: { name: 'diapause', version: 'bench' },
    createdAt: new Date().toISOString(),
    owner: { namespace: 'bench', name: 'c', uid: 'u' },
    pod: { namespace: 'bench', name: 'p', uid: 'u' },
    node: 'node-a',
    containers: [],
    requirements: TEST_REQUIREMENTS,
    report: [],
    files,
  };
}
