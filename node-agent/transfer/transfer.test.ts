import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../kube/testing/until.ts';
import { summing } from '../bundle/checksum.ts';
import { TaskFailure } from '../task-failure.ts';
import { Bandwidth } from './bandwidth.ts';
import { fingerprintOf, makeIdentity } from './certificate.ts';
import { FRAME, type Frame, frameHeader, FrameParser } from './frames.ts';
import { PagesFollower } from './pages-follower.ts';
import { PeerStream } from './peer-stream.ts';
import { type ReceivedBundle, receiveBundle } from './receiver.ts';
import { Sender } from './sender.ts';
import { manifestOf } from './testing/manifest.ts';
import { type Peers, startPeers } from './testing/peers.ts';

const MIB = 1 << 20;

interface Receiving {
  readonly bundle: Promise<ReceivedBundle>;
  readonly progress: { bytes: number };
}

async function receive(
  { target, space, signal }: Peers,
  assertRoom = () => Promise.resolve(),
): Promise<Receiving> {
  const folder = await space.create('received');
  const progress = { bytes: 0 };
  const stream = new PeerStream({ socket: target, signal });
  const onBytes = (bytes: number): void => void (progress.bytes += bytes);
  const bundle = receiveBundle({
    directory: folder.directory,
    stream,
    assertRoom,
    onStart: () => undefined,
    onBytes,
  });
  const over = async (): Promise<void> => {
    await stream[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  void bundle.then(over, over);
  return { bundle, progress };
}

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TaskFailure, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('each transfer has a certificate of its own that others can read', () => {
  const [one, two] = [makeIdentity(), makeIdentity()];
  const certificate = new X509Certificate(one.certificate);
  assert.ok(certificate.verify(certificate.publicKey), 'self-signed');
  assert.equal(fingerprintOf(certificate.raw), one.fingerprint);
  assert.match(one.fingerprint, /^sha256:[0-9a-f]{64}$/);
  assert.notEqual(one.fingerprint, two.fingerprint);
  assert.notEqual(one.key, two.key);
});

test('frames are the same however the network cuts them', () => {
  const data = randomBytes(1000);
  const wire = Buffer.concat([
    frameHeader(FRAME.file, 3),
    Buffer.from('a/b'),
    frameHeader(FRAME.data, data.length),
    data,
    frameHeader(FRAME.alive, 0),
    frameHeader(FRAME.stored, 0),
  ]);
  for (const step of [1, 2, 7, 100, wire.length]) {
    const parser = new FrameParser();
    const frames: Frame[] = [];
    for (let at = 0; at < wire.length; at += step) {
      frames.push(...parser.take(wire.subarray(at, at + step)));
    }
    const pieces = frames.filter(({ kind }) => kind === FRAME.data).map(({ content }) => content);
    assert.deepEqual(Buffer.concat(pieces), data);
    const others = frames.filter(({ kind }) => kind !== FRAME.data);
    assert.deepEqual(
      others.map(({ kind, content }) => [kind, content.toString()]),
      [
        [FRAME.file, 'a/b'],
        [FRAME.alive, ''],
        [FRAME.stored, ''],
      ],
    );
    assert.ok(!parser.incomplete);
  }
});

for (const [what, wire] of [
  ['an unknown kind', frameHeader(99 as never, 0)],
  ['more bytes than any frame has', frameHeader(FRAME.file, 1 << 30)],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\n')],
] as const) {
  test(`${what} ends the transfer`, () => {
    assert.throws(() => [...new FrameParser().take(wire)], fails('TransferFailed', /unknown/));
  });
}

test('a bandwidth is kept on average', () => {
  let now = 0;
  const bandwidth = new Bandwidth(1000, () => now);
  assert.equal(bandwidth.take(100), 100);
  now = 100;
  assert.equal(bandwidth.take(2), 0, 'a short pause is saved up');
  assert.equal(bandwidth.take(10), 12);
  now = 10_000;
  assert.equal(bandwidth.take(100), 100, 'idle time gives no credit');
  assert.equal(new Bandwidth(undefined).take(1e12), 0);
});

test('pages are sent while they are written', async () => {
  await using peers = await startPeers();
  const { source, space, signal } = peers;
  const receiving = await receive(peers);
  await using sender = new Sender({ socket: source, signal });
  await sender.offer(4 * MIB);
  await using folder = await space.create('dump');
  const { directory } = folder;
  await directory.makeDirectory('app');
  await directory.writeFile('pod.dump', 'pod');
  const enginePid = (): number => process.pid;
  const follower = new PagesFollower({ directory, sender, enginePid, worthBytes: MIB });
  const fd = openSync(join(directory.externalPath, 'app', 'pages-1.img'), 'w');
  const content = randomBytes(3 * MIB + 8192);
  writeSync(fd, content.subarray(0, 2 * MIB + 4096));
  await until('two of them arrived', () => receiving.progress.bytes === 2 * MIB);
  writeSync(fd, content.subarray(2 * MIB + 4096));
  closeSync(fd);
  const reported: number[] = [];
  await follower.finish((bytes) => reported.push(bytes));
  assert.equal(
    reported.reduce((sum, bytes) => sum + bytes, 0),
    content.length,
  );
  await follower[Symbol.asyncDispose]();
  const files = await sender.sendTree(directory, () => undefined);
  const sum = summing('gmac');
  sum.update(content);
  const whole = { path: 'app/pages-1.img', sizeBytes: content.length, ...sum.end() };
  assert.deepEqual(files[0], whole);
  assert.deepEqual(
    files.map(({ path }) => path),
    ['app/pages-1.img', 'pod.dump'],
  );
  await sender.finish(manifestOf(files));
  await receiving.bundle;
  await using received = await space.open('received');
  const arrived = join(received.directory.externalPath, 'app', 'pages-1.img');
  assert.ok(readFileSync(arrived).equals(content));
});

test('pages that nobody wants any more are not sent to their end', async () => {
  await using peers = await startPeers();
  const { source, space, signal } = peers;
  const receiving = await receive(peers);
  await using sender = new Sender({ socket: source, signal, bytesPerSecond: 4 * MIB });
  await sender.offer(8 * MIB);
  await using folder = await space.create('dump');
  const { directory } = folder;
  await directory.makeDirectory('app');
  const enginePid = (): number => process.pid;
  const follower = new PagesFollower({ directory, sender, enginePid, worthBytes: MIB });
  const fd = openSync(join(directory.externalPath, 'app', 'pages-1.img'), 'w');
  writeSync(fd, randomBytes(8 * MIB));
  await until('some of them arrived', () => receiving.progress.bytes >= MIB);
  const finished = assert.rejects(
    follower.finish(() => undefined),
    /not wanted any more/,
  );
  closeSync(fd);
  await follower[Symbol.asyncDispose]();
  await finished;
  assert.ok(receiving.progress.bytes < 6 * MIB, `${receiving.progress.bytes} bytes`);
  receiving.bundle.catch(() => undefined);
});

test('a large file arrives as it was, its last odd bytes too, and nothing is sent out of memory that is used again', async () => {
  await using peers = await startPeers();
  const { source, space, signal } = peers;
  const receiving = await receive(peers);
  await using sender = new Sender({ socket: source, signal });
  await using folder = await space.create('dump');
  const { directory } = folder;
  // More than the read-ahead and what both kernels take together: the sender has to wait for the wire.
  const content = randomBytes(24 * MIB + 12_345);
  await directory.writeFile('pages', content);
  await directory.writeFile('small', 'x');
  await directory.writeFile('empty', '');
  await sender.offer(content.length);
  const sent: number[] = [];
  const files = await sender.sendTree(directory, (bytes) => void sent.push(bytes));
  assert.equal(
    sent.reduce((sum, bytes) => sum + bytes, 0),
    content.length + 1,
  );
  await sender.finish(manifestOf(files));
  await receiving.bundle;
  await using received = await space.open('received');
  const arrived = (name: string) => readFileSync(join(received.directory.externalPath, name));
  assert.ok(arrived('pages').equals(content));
  assert.deepEqual([arrived('small').toString(), arrived('empty').length], ['x', 0]);
});

test('an agent of another version is told before anything is sent', async () => {
  await using peers = await startPeers();
  const { source, signal } = peers;
  const receiving = await receive(peers);
  await using stream = new PeerStream({ socket: source, signal });
  await stream.send(FRAME.offer, JSON.stringify({ version: 1, expectedBytes: 1 }));
  await assert.rejects(receiving.bundle, fails('TransferFailed', /another version/));
});

test('a file that is not what the manifest says is no bundle, and the source is told', async () => {
  await using peers = await startPeers();
  const receiving = await receive(peers);
  await using sender = new Sender({ socket: peers.source, signal: peers.signal });
  await sender.offer(1);
  await sender.file('app/x');
  await sender.data(Buffer.from('wrong'));
  const file = { path: 'app/x', sizeBytes: 5, gmac: '0'.repeat(32) };
  const told = fails('BundleCorrupt', /the other agent: app\/x did not arrive as it was sent/);
  await assert.rejects(sender.finish(manifestOf([file])), told);
  await assert.rejects(receiving.bundle, fails('BundleCorrupt', /app\/x/));
});

for (const path of ['../x', 'app/../../x', '/etc/x', '', 'app//x']) {
  test(`nothing is written to ${JSON.stringify(path)}`, async () => {
    await using peers = await startPeers();
    const receiving = await receive(peers);
    await using sender = new Sender({ socket: peers.source, signal: peers.signal });
    await sender.offer(1);
    await sender.file(path);
    await assert.rejects(receiving.bundle, fails('BundleInvalid', /is not a file name/));
  });
}

test('a target without room says so before anything is sent', async () => {
  await using peers = await startPeers();
  const full = new TaskFailure('NodeSpaceFull', 'node node-b has 1 bytes left');
  await receive(peers, () => Promise.reject(full));
  await using sender = new Sender({ socket: peers.source, signal: peers.signal });
  await assert.rejects(sender.offer(2), fails('NodeSpaceFull', /the other agent: node node-b/));
  assert.ok(sender.signal.aborted);
});

test('silence is an end, too', async () => {
  await using peers = await startPeers();
  const { source, signal } = peers;
  await using sender = new Sender({ socket: source, signal, silenceMillis: 300 });
  await assert.rejects(sender.offer(1), fails('TransferFailed', /was not heard of for/));
});

test('a side that gives signs of life is waited for', async () => {
  await using peers = await startPeers();
  const { source, target, signal } = peers;
  const slow = new PeerStream({ socket: target, signal, silenceMillis: 600 });
  await using sender = new Sender({ socket: source, signal, silenceMillis: 600 });
  const offered = sender.offer(1);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await slow.send(FRAME.ready);
  await offered;
  await slow[Symbol.asyncDispose]();
});
