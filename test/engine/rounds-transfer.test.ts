// A real engine, the agent's side of its rounds and a stream between two agents: what arrives is the process of the freeze.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { throughImages } from '../victims/cases.ts';
import { dumpTask, startEngine } from '../victims/engine-process.ts';
import { enterPrivateNamespaces } from '../victims/private-namespaces.ts';
import { buildVictim, startVictim, type Victim } from '../victims/victim.ts';
import type { TaskRound } from '../../crds/node-task.ts';
import { MOST_ROUNDS } from '../../node-agent/tasks/cut-over.ts';
import { EngineProcess } from '../../node-agent/tasks/engine-process.ts';
import { PreCopyRounds } from '../../node-agent/tasks/pre-copy-rounds.ts';
import { PagesFollower } from '../../node-agent/transfer/pages-follower.ts';
import { PeerStream } from '../../node-agent/transfer/peer-stream.ts';
import { receiveBundle } from '../../node-agent/transfer/receiver.ts';
import { Sender } from '../../node-agent/transfer/sender.ts';
import { manifestOf } from '../../node-agent/transfer/testing/manifest.ts';
import { type Peers, startPeers } from '../../node-agent/transfer/testing/peers.ts';
import { canWatchWrites } from '../../node-agent/engine/linux/userfaultfd.ts';

enterPrivateNamespaces();

const skip = canWatchWrites() ? false : 'this kernel cannot watch writes (Linux 6.7)';
const MAIN = fileURLToPath(new URL('../../node-agent/engine/main.ts', import.meta.url));
const IMAGES = 'app/checkpoint';
/** More than a megabyte: worth another round. */
const CHANGES = 8;
const nothing = (): void => undefined;

async function change(victim: Victim, from: number, to: number): Promise<void> {
  for (let round = from; round <= to; round++) {
    victim.signal('SIGUSR1');
    await victim.waitForLine(new RegExp(`^parent round ${round}$`));
    await victim.waitForLine(new RegExp(`^child round ${round}$`));
  }
}

/** @returns the rounds before the freeze */
async function send(victim: Victim, { source, space, signal }: Peers): Promise<TaskRound[]> {
  let told: readonly TaskRound[] = [];
  await using folder = await space.create('sent');
  const { directory } = folder;
  await directory.makeDirectory('app');
  await using app = await directory.directory('app');
  await app.makeDirectory('checkpoint');
  await using sender = new Sender({ socket: source, signal });
  await sender.offer(1);
  using engine = await EngineProcess.start([process.execPath, MAIN]);
  const enginePid = (): number => engine.identity.pid;
  await using follower = new PagesFollower({ directory, sender, enginePid, worthBytes: 1 << 20 });
  const rounds = new PreCopyRounds({
    limits: {},
    send: async () => {
      if (told.length === 0) await change(victim, 1, CHANGES);
      await follower.catchUp();
    },
    onRounds: (all) => void (told = all),
  });
  const task = dumpTask(victim.pid, `${directory.externalPath}/${IMAGES}`, {
    afterDump: 'Kill',
    establishedSockets: 'Fail',
    preCopy: 'always',
    rounds: { most: MOST_ROUNDS },
    passing: true,
  });
  await engine.run(task, {
    signal: follower.signal,
    onEvent: (event) => rounds.take(event, (order) => engine.tell(order)),
  });
  await follower.finish(nothing);
  await sender.finish(manifestOf(await sender.sendTree(directory, nothing)));
  return [...told];
}

async function receive({ target, space, signal }: Peers): Promise<string> {
  const folder = await space.create('received');
  await using stream = new PeerStream({ socket: target, signal });
  const assertRoom = (): Promise<void> => Promise.resolve();
  const { directory } = folder;
  await receiveBundle({ directory, stream, assertRoom, onStart: nothing, onBytes: nothing });
  return join(directory.externalPath, IMAGES);
}

async function restore(imagesDir: string): Promise<void> {
  const trees = [{ name: 'app', imagesDir }];
  const task = { type: 'restore', trees, leaveStopped: false } as const;
  const { failure, stderr } = await startEngine(task).ended;
  assert.equal(failure?.message, undefined, stderr);
}

test('a process goes from one agent to another in rounds', { skip }, async () => {
  await using peers = await startPeers();
  using victim = await startVictim(buildVictim('changing'));
  let imagesDir = '';
  using restored = await throughImages(
    victim,
    async () => {
      const received = receive(peers);
      const rounds = await send(victim, peers);
      imagesDir = await received;
      const [first, second] = rounds;
      assert.ok(first && second, JSON.stringify(rounds));
      assert.ok(second.bytes < first.bytes, JSON.stringify(rounds));
    },
    () => {},
    () => restore(imagesDir),
  );
  restored.signal('SIGTERM');
  const expected = `verdict wrong 0 after ${CHANGES} rounds`;
  const said = await Promise.all(
    ['parent', 'child'].map((who) => restored.waitForLine(new RegExp(`^${who} verdict`))),
  );
  assert.deepEqual(said, [`parent ${expected}`, `child ${expected}`], restored.output());
});
