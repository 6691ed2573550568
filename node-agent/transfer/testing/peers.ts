// Both ends of one connection in one process, as two agents would have them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { makeIdentity } from '../certificate.ts';
import { connectToPeer } from '../connect.ts';
import { Listener } from '../listener.ts';
import { LocalSpace } from '../local-space.ts';

export interface Peers extends AsyncDisposable {
  readonly source: TLSSocket;
  readonly target: TLSSocket;
  readonly space: LocalSpace;
  readonly signal: AbortSignal;
}

export async function startPeers(): Promise<Peers> {
  await using all = new AsyncDisposableStack();
  const stop = new AbortController();
  const folder = await mkdtemp(join(tmpdir(), 'diapause-peers-'));
  all.defer(() => rm(folder, { recursive: true, force: true }));
  const listener = all.use(await Listener.open('127.0.0.1'));
  const identity = makeIdentity();
  const { signal } = stop;
  const [source, target] = await Promise.all([
    connectToPeer(listener.endpoint, identity, signal),
    listener.accept(Promise.resolve(identity.fingerprint), signal),
  ]);
  all.defer(() => {
    source.destroy();
    target.destroy();
  });
  const owned = all.move();
  return {
    source,
    target,
    space: new LocalSpace(folder),
    signal,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
