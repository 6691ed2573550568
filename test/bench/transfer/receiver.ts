// The target's side of the bench: a process of its own, as the other agent is.
import { once } from 'node:events';
import process from 'node:process';
import { Listener } from '../../../node-agent/transfer/listener.ts';
import { LocalSpace } from '../../../node-agent/transfer/local-space.ts';
import { PeerStream } from '../../../node-agent/transfer/peer-stream.ts';
import { receiveBundle } from '../../../node-agent/transfer/receiver.ts';
import { Usage } from './usage.ts';

const { signal } = new AbortController();
const space = new LocalSpace(process.argv[2] ?? '');
await using folder = await space.create('received');
using listener = await Listener.open('127.0.0.1');
process.send?.(listener.endpoint);
const [fingerprint] = (await once(process, 'message')) as [string];
const socket = await listener.accept(Promise.resolve(fingerprint), signal);
await using stream = new PeerStream({ socket, signal });
const usage = new Usage();
const { bytes } = await receiveBundle({
  directory: folder.directory,
  stream,
  assertRoom: () => Promise.resolve(),
  onStart: () => undefined,
  onBytes: () => undefined,
});
process.stdout.write(`${usage.tell('target', bytes)}\n`);
process.disconnect?.();
