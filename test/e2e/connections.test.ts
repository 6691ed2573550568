// Connections on the real cluster: those within a pod go on in another one, those out of it through a rewind.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Container, Pod } from '../../src/cluster/pod.ts';
import { isPodReady } from '../../src/cluster/pod.ts';
import { connect } from './testing/cluster.ts';
import { eventually } from './testing/eventually.ts';
import { assertFailed } from './testing/expectations.ts';
import { Scene, verdict } from './testing/scene.ts';
import { ballast, type PodManifest } from './testing/witness.ts';

const cluster = connect();
const PYTHON = '/usr/bin/python3';
const PORT = 7000;
const KEEP = { sockets: { established: 'Keep' } } as const;

/** Answers every line of its only client with its number. */
const SERVER = `
import socket
listener = socket.create_server(("", ${PORT}))
connection, _ = listener.accept()
print("accepted", flush=True)
lines = connection.makefile("rw", buffering=1)
for number, line in enumerate(lines):
    lines.write(f"{number} {line}")
print("ended", flush=True)
`;

/** Asks all the time, and tells what it has heard; a connection that breaks ends it. */
const caller = (host: string, wait: string): string => `
import os, socket, time
while True:
    try:
        connection = socket.create_connection(("${host}", ${PORT}))
        break
    except OSError:
        time.sleep(0.1)
lines = connection.makefile("rw", buffering=1)
asked = 0
while True:
    lines.write(f"question {asked}\\n")
    answer = lines.readline().strip()
    print(f"heard {answer}" if answer == f"{asked} question {asked}" else f"wrong {answer}", flush=True)
    asked += 1
    ${wait}
`;

const ALL_THE_TIME = 'time.sleep(0.02)';
/** Until somebody asks for the next one. */
const WHEN_TOLD = `
    while not os.path.exists(f"/work/{asked}"):
        time.sleep(0.05)
`;

type Programs = Readonly<Record<string, string>>;

function podOf(name: string, nodeName: string, programs: Programs): PodManifest {
  const base = ballast(1, { name, nodeName });
  const { readinessProbe: _none, ...plain } = base.spec.containers[0] as Container;
  const containers = Object.entries(programs).map(([container, program]) => ({
    ...plain,
    name: container,
    command: [PYTHON, '-c', program],
  }));
  return { ...base, spec: { ...base.spec, containers } };
}

async function heard(scene: Scene, pod: string): Promise<readonly number[]> {
  const log = await scene.kubectl.run(['logs', pod, '-c', 'client']);
  assert.doesNotMatch(log, /wrong|Error/);
  return [...log.matchAll(/^heard (\d+) /gm)].map(([, number]) => Number(number));
}

async function untilHeard(scene: Scene, pod: string, number: number): Promise<void> {
  await eventually(
    `${pod} hears ${number}`,
    () => heard(scene, pod),
    (numbers) => (numbers.at(-1) ?? -1) >= number,
  );
}

const addressOf = ({ status }: Pod): string => status?.podIP ?? '';

describe('connections on the real cluster', { concurrency: true }, () => {
  it('those of two containers go on in another pod on another node', async () => {
    await using scene = await Scene.create(cluster, 'keep');
    const client = caller('127.0.0.1', ALL_THE_TIME);
    await scene.run(podOf('talk', 'node-a', { server: SERVER, client }));
    await untilHeard(scene, 'talk', 20);
    await scene.checkpoint('one', 'talk', KEEP);
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);
    const now = (await heard(scene, 'talk')).at(-1) ?? 0;
    await untilHeard(scene, 'talk', now + 20);

    const newPod = { name: 'copy', nodeName: 'node-b' };
    await scene.restore('back', 'one', { target: { type: 'NewPod', newPod } });
    assert.match(verdict(await scene.settledRestore('back')), /^Completed: /);
    assert.ok(isPodReady(await scene.pod('copy')));
    const [first = 0] = await eventually(
      'the copy hears something',
      () => heard(scene, 'copy'),
      (numbers) => numbers.length > 0,
    );
    assert.ok(first > 10 && first <= now + 1, `${first}, saved before ${now}`);
    await untilHeard(scene, 'copy', first + 50);
    const numbers = await heard(scene, 'copy');
    assert.deepEqual(
      numbers,
      numbers.map((_, i) => first + i),
    );
  });

  it('one out of the pod goes on through a rewind, and is refused elsewhere by its addresses', async () => {
    await using scene = await Scene.create(cluster, 'keep-rewind');
    const [server] = await scene.run(podOf('server', 'node-a', { server: SERVER }));
    assert.ok(server);
    const program = caller(addressOf(server), WHEN_TOLD);
    const [client] = await scene.run(podOf('client', 'node-b', { client: program }));
    assert.ok(client);
    const ask = async (number: number): Promise<void> => {
      const touch = `open("/work/${number}", "w").close()`;
      await scene.kubectl.run(['exec', 'client', '--', PYTHON, '-c', touch]);
      await untilHeard(scene, 'client', number);
    };
    await ask(1);
    await scene.checkpoint('one', 'server', KEEP);
    assert.match(verdict(await scene.settledCheckpoint('one')), /^Completed: /);

    await scene.restore('elsewhere', 'one');
    const refused = await scene.settledRestore('elsewhere');
    const between = `${addressOf(server)}:${PORT} -> ${addressOf(client)}:`.replaceAll('.', '\\.');
    assertFailed(refused, new RegExp(`^ConnectionsStay: .*${between}`));

    const target = { type: 'InPlace', inPlace: { podRef: { name: 'server' } } } as const;
    await scene.restore('undo', 'one', { target });
    assert.match(verdict(await scene.settledRestore('undo')), /^Completed: /);
    await ask(2);
    await scene.restore('moved', 'one', { target });
    const moved = await scene.settledRestore('moved');
    assertFailed(moved, /^Unsupported: .*ConnectionMoved.* written \d+ and read \d+ bytes/);
    await ask(3);
    assert.doesNotMatch(await scene.kubectl.run(['logs', 'server']), /ended/);
  });
});
