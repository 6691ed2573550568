// Real servers in pods, with clients that never rest: none of them hears of a Checkpoint, and what a server held when it
// was saved for good it holds in the new pod.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Conversation, PassingClients } from '../victims/servers/conversation.ts';
import { connect } from './testing/cluster.ts';
import { assertUnharmed } from './testing/expectations.ts';
import { loadImages } from './testing/load-images.ts';
import { Scene, verdict } from './testing/scene.ts';
import { SERVER_IMAGES } from './testing/server-images.ts';
import { clientPod, serverPod, SERVERS_IN_PODS, type ServerInPod } from './testing/servers.ts';

/** What is counted at the same time, each on a connection of its own. */
const NAMES = ['one', 'two'];
/** So many of each client show that it goes on. */
const ANSWERS = 20;

const cluster = connect();

const hear = (clients: readonly Conversation[]): Promise<unknown> =>
  Promise.all(clients.map((one) => one.hears(ANSWERS)));

async function run(scene: Scene, server: ServerInPod) {
  const clients = server.hasClientPod === true ? [clientPod(server)] : [];
  const [pod] = await scene.run(serverPod(server), ...clients);
  const address = pod?.status?.podIP;
  assert.ok(pod && address);
  await server.fill?.(scene, address);
  return { pod, address };
}

/** Saved under load while it runs on. @returns the clients, which still ask */
async function saveUnheard(scene: Scene, server: ServerInPod, address: string) {
  const open = () => server.line(scene, address);
  const clients = NAMES.map((name) => new Conversation(open(), server.protocol, { name }));
  const load = server.load?.(scene, address);
  let complaints = '';
  load?.in.on('data', (text) => (complaints += String(text)));
  await hear(clients);
  {
    // Each question of a client program would be a program.
    await using passing = server.hasClientPod
      ? undefined
      : new PassingClients(open, server.protocol, 'passing');
    await scene.checkpoint('while-it-runs', 'server');
    assert.match(verdict(await scene.settledCheckpoint('while-it-runs')), /^Completed: /);
    assert.equal(passing?.failure, undefined);
  }
  await hear(clients);
  const complaint = complaints.match(/.*(error|abort|fatal).*/i)?.[0];
  assert.equal(complaint, undefined);
  return { clients, load };
}

describe('servers on the real cluster', { concurrency: true }, () => {
  before(async () => {
    for (const line of await loadImages(Object.values(SERVER_IMAGES))) console.log(line);
  });

  for (const server of SERVERS_IN_PODS) {
    it(`${server.name}: no client hears of a Checkpoint, and nothing is lost by a Restore`, async (t) => {
      await using scene = await Scene.create(cluster, server.name.toLowerCase());
      const { pod, address } = await run(scene, server);
      const { clients, load } = await saveUnheard(scene, server, address);
      assertUnharmed(pod, await scene.pod('server'));
      const longestMillis = Math.max(...clients.map((one) => one.longestMillis));
      t.diagnostic(`longest answer around a Checkpoint: ${longestMillis.toFixed(0)} ms`);

      // Files and memory are of one moment only if the source never runs again.
      await scene.checkpoint('for-good', 'server', { afterDump: 'DeletePod' });
      assert.match(verdict(await scene.settledCheckpoint('for-good')), /^Completed: /);
      await Promise.all(clients.map((client) => client.breaks()));
      load?.close();
      const target = { newPod: { name: 'copy', nodeName: 'node-b' } };
      await scene.restore('back', 'for-good', { target });
      assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);

      const copy = await scene.pod('copy');
      const now = copy.status?.podIP ?? '';
      const again = clients.map(({ last }, index) => {
        const talk = { name: NAMES[index] ?? '', last, mayFindPending: true };
        return new Conversation(server.line(scene, now), server.protocol, talk);
      });
      await hear(again);
      await Promise.all(again.map((client) => client.ends()));
      await server.check?.(scene, 'copy', now);
      assertUnharmed(copy, await scene.pod('copy'));
    });
  }
});
