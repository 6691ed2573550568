// Two agents and the network between them: a bundle goes from one to the other, or the source goes on.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATOR_NAMESPACE } from '../../crds/names.ts';
import type { NodeTaskStatus } from '../../crds/node-task.ts';
import { until } from '../../kube/testing/until.ts';
import { NODE_TASKS } from './task-agent.ts';
import { slowUntil } from './testing/scenario.ts';
import {
  PAGES_BYTES,
  startPair,
  giveReceive,
  listening,
  giveDump,
  introduce,
  introduceSource,
  left,
  transferred,
  restored,
} from './testing/pair.ts';

const STRANGER = `sha256:${'00'.repeat(32)}`;
function assertFailed({ state, error }: NodeTaskStatus, code: string, message?: RegExp): void {
  assert.equal(state, 'Failed');
  assert.ok(error);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message ?? /./);
}

test('a bundle goes from node to node and is restored there, and nothing of it stays', async () => {
  await using pair = await startPair();
  const { source, target } = pair;
  const sent = await transferred(pair);
  assert.ok(sent.bytes > PAGES_BYTES);
  assert.ok(source.frozen, 'the source waits for the target');
  await until('the copy of the source is gone', () => left(source).length === 0);
  assert.deepEqual(source.bundles(), [], 'no store was touched');
  assert.deepEqual(left(target), [sent.taskUid]);
  const { state, error } = await restored(pair, sent);
  assert.equal(state, 'Succeeded', JSON.stringify(error));
  const tasks = source.api.client().resource(NODE_TASKS);
  await tasks.delete({ namespace: OPERATOR_NAMESPACE, name: sent.receive });
  await until('what was received is removed', () => left(target).length === 0);
});

test('a restarted agent verifies what the one before it had received', async () => {
  await using pair = await startPair();
  const sent = await transferred(pair);
  await pair.stopTarget();
  const folder = join(pair.target.folder, 'transfer', sent.taskUid);
  writeFileSync(join(folder, 'app', 'checkpoint', 'pages-1.img'), 'damage');
  await pair.startTarget();
  assertFailed(await restored(pair, sent), 'BundleCorrupt', /pages-1\.img/);
});

test('another certificate than the one announced is not talked to', async () => {
  await using pair = await startPair();
  const receive = giveReceive(pair);
  const endpoint = await listening(pair, receive);
  const dump = giveDump(pair, { ...endpoint, fingerprint: STRANGER });
  assertFailed(await pair.source.untilEnded(dump), 'PeerUntrusted', /showed the certificate/);
  assert.ok(!pair.source.frozen);
  assert.deepEqual(left(pair.source), []);
});

test('a source that was not announced is sent away, and the one that was is still waited for', async () => {
  await using pair = await startPair();
  const receive = giveReceive(pair);
  const dump = giveDump(pair, await listening(pair, receive));
  await introduce(pair, receive, STRANGER);
  assertFailed(await pair.source.untilEnded(dump), 'PeerUntrusted', /the other agent/);
  assert.equal(pair.source.status(receive).state, 'Running');
  assert.ok(!pair.source.frozen);
});

test('an agent that cannot be reached is told before anything is frozen', async () => {
  await using pair = await startPair();
  const endpoint = await listening(pair, giveReceive(pair));
  // Reserved: nobody listens there.
  const dump = giveDump(pair, { ...endpoint, port: 1 });
  assertFailed(await pair.source.untilEnded(dump), 'PeerUnreachable', /127\.0\.0\.1:1 /);
  assert.equal(pair.source.victimState, 'S');
});

test('a node without room says so before anything is frozen', async () => {
  await using pair = await startPair({ source: { anonymousBytes: 1e18 } });
  const dump = giveDump(pair, await listening(pair, giveReceive(pair)));
  assertFailed(await pair.source.untilEnded(dump), 'NodeSpaceFull', /node-a has \d+ bytes left/);
  assert.ok(!pair.source.frozen);
  assert.deepEqual(left(pair.source), []);
});

/** Which of the two comes first is a matter of chance: the end of the stream, or the failure of what was sent. */
const CUT = /the agents broke|hung up before it had everything/;

test('a stream that is cut lets the source go on, and leaves nothing on either node', async () => {
  await using pair = await startPair();
  const receive = giveReceive(pair);
  const endpoint = await listening(pair, receive);
  await using wire = await startWire(endpoint.port, 1 << 20);
  const dump = giveDump(pair, { ...endpoint, port: wire.port });
  await introduceSource(pair, receive, dump);
  assertFailed(await pair.source.untilEnded(dump), 'TransferFailed', CUT);
  assertFailed(await pair.source.untilEnded(receive), 'TransferFailed');
  assert.ok(!pair.source.frozen);
  assert.deepEqual([left(pair.source), left(pair.target)], [[], []]);
});

test('the target’s agent ends while the source is being saved: the source goes on at once', async () => {
  await using pair = await startPair();
  const go = join(pair.source.folder, 'go');
  pair.source.scenario(slowUntil(go));
  const receive = giveReceive(pair);
  const dump = giveDump(pair, await listening(pair, receive));
  await introduceSource(pair, receive, dump);
  await pair.source.untilStage(dump, 'saving-pages');
  await pair.stopTarget();
  await pair.startTarget();
  const status = await pair.source.untilEnded(dump);
  assert.equal(status.state, 'Failed', 'without waiting for the engine');
  assertFailed(await pair.source.untilEnded(receive), 'AgentRestarted');
  assert.ok(!pair.source.frozen);
  assert.deepEqual([left(pair.source), left(pair.target)], [[], []]);
});

test('a stream keeps to its bandwidth', async () => {
  await using pair = await startPair();
  const receive = giveReceive(pair);
  const endpoint = await listening(pair, receive);
  const dump = giveDump(pair, { ...endpoint, bandwidthBytes: 2 << 20 });
  await introduceSource(pair, receive, dump);
  await pair.source.untilStage(dump, 'sending');
  const begun = performance.now();
  assert.equal((await pair.source.untilEnded(dump)).state, 'Succeeded');
  const millis = performance.now() - begun;
  assert.ok(millis > 900 && millis < 10_000, `${millis} ms for 3 MiB at 2 MiB/s`);
});

test('no spare engine is started while the source stands still', async () => {
  let started = 0;
  await using pair = await startPair({ source: { onWarm: () => void started++ } });
  const receive = giveReceive(pair);
  const endpoint = await listening(pair, receive);
  const dump = giveDump(pair, { ...endpoint, bandwidthBytes: 2 << 20 });
  await introduceSource(pair, receive, dump);
  await pair.source.untilStage(dump, 'sending');
  assert.equal(started, 0);
  assert.equal((await pair.source.untilEnded(dump)).state, 'Succeeded');
  await until('one is started', () => started === 1);
});

test('a cancelled dump tells the target, and lets the source go on', async () => {
  await using pair = await startPair();
  const receive = giveReceive(pair);
  const endpoint = await listening(pair, receive);
  const dump = giveDump(pair, { ...endpoint, bandwidthBytes: 100_000 });
  await introduceSource(pair, receive, dump);
  await pair.source.untilStage(dump, 'sending');
  assert.ok(pair.source.frozen);
  const tasks = pair.source.api.client().resource(NODE_TASKS);
  const ref = { namespace: OPERATOR_NAMESPACE, name: dump };
  await tasks.mergePatch(ref, { spec: { cancel: true } });
  assert.equal((await pair.source.untilEnded(dump)).state, 'Canceled');
  assertFailed(await pair.source.untilEnded(receive), 'TransferFailed');
  assert.ok(!pair.source.frozen);
  assert.deepEqual([left(pair.source), left(pair.target)], [[], []]);
});

test('what an agent finds of tasks that are gone is removed', async () => {
  await using pair = await startPair();
  await pair.stopTarget();
  mkdirSync(join(pair.target.folder, 'transfer', 'long-gone'), { recursive: true });
  await pair.startTarget();
  await until('swept', () => left(pair.target).length === 0);
});

interface Wire extends AsyncDisposable {
  readonly port: number;
}

/** A network that breaks after so many bytes. */
async function startWire(port: number, bytes: number): Promise<Wire> {
  const sockets: Socket[] = [];
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    sockets.push(near, far);
    let passed = 0;
    near.on('data', (chunk) => {
      passed += chunk.length;
      far.write(chunk);
      if (passed > bytes) {
        near.destroy();
        far.destroy();
      }
    });
    far.on('data', (chunk) => near.write(chunk));
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}
