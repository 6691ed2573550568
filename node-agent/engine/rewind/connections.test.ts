// Connections to others go through a rewind where the program has neither read nor written since. Needs root.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test, type TestContext } from 'node:test';
import {
  type Contained,
  startContained,
  startPlaceholder,
} from '../../../test/victims/confined.ts';
import { dumpTask, type EngineEnd, startEngine } from '../../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../../test/victims/private-namespaces.ts';
import { buildVictim, type Victim } from '../../../test/victims/victim.ts';
import type { Finding } from '../finding.ts';

enterPrivateNamespaces();

const PROGRAM = buildVictim('pairs');
const CONNECTION = /127\.0\.0\.1:8200 -> 127\.0\.0\.1:\d+/;

interface Talk {
  readonly server: Contained;
  /** is never saved */
  readonly client: Victim;
  readonly imagesDir: string;
}

/** A server that is saved, and its client, who knows nothing of it. */
async function savedTalk(t: TestContext): Promise<Talk> {
  const server = await startContained(PROGRAM, ['serve'], { readyLine: /listens/ });
  t.after(() => server.victim[Symbol.dispose]());
  const { pid } = server.victim;
  const { victim: client } = await startContained(PROGRAM, ['call'], { networkOf: pid });
  t.after(() => client[Symbol.dispose]());
  await server.victim.waitForLine(/ready/);
  const imagesDir = mkdtempSync(join(tmpdir(), 'diapause-images-'));
  t.after(() => rmSync(imagesDir, { recursive: true, force: true }));
  const task = dumpTask(pid, imagesDir, { establishedSockets: 'KeepPairs' });
  const { result, failure } = await startEngine(task).ended;
  assert.ok(result, JSON.stringify(failure));
  const [told] = result.findings;
  assert.equal(`${told?.severity} ${told?.code}`, 'note TcpLeavesPod');
  assert.match(result.requirements.connections?.join() ?? '', CONNECTION);
  return { server, client, imagesDir };
}

async function rewind({ server, imagesDir }: Talk, dryRun = false): Promise<EngineEnd> {
  const trees = [{ name: 'server', rootPid: server.victim.pid, imagesDir, putBack: [] }];
  return await startEngine({ type: 'rewind', trees, freezeLimitMillis: 0, dryRun }).ended;
}

async function restore(
  imagesDir: string,
  placeholderPid: number,
  rewound: boolean,
): Promise<EngineEnd> {
  const trees = [{ name: 'server', imagesDir, placeholderPid, rewound }];
  return await startEngine({ type: 'restore', trees, leaveStopped: false }).ended;
}

test('both sides go on, and the other one notices nothing', async (t) => {
  const talk = await savedTalk(t);
  const { server, client, imagesDir } = talk;
  for (let round = 0; round < 2; round++) {
    assert.deepEqual((await rewind(talk, true)).rewound?.findings, []);
    const { rewound, failure } = await rewind(talk);
    assert.ok(rewound, JSON.stringify(failure));
    const { restored, failure: refused } = await restore(imagesDir, server.victim.pid, true);
    assert.deepEqual(restored?.findings, [], JSON.stringify(refused));
  }
  for (const side of [server.victim, client]) side.signal('SIGTERM');
  for (const side of [server.victim, client]) {
    assert.equal(await side.waitForLine(/^(PASS|FAIL \d+)$/), 'PASS', side.output());
  }
});

test('a program that has written since is not rewound, and goes on', async (t) => {
  const talk = await savedTalk(t);
  talk.server.victim.signal('SIGUSR1');
  await talk.server.victim.waitForLine(/written/);
  const { failure, stages } = await rewind(talk);
  assert.equal(failure?.code, 'ConnectionMoved', JSON.stringify(failure));
  assert.match(failure.message, CONNECTION);
  assert.match(failure.message, /written 1 and read 0 bytes/);
  assert.ok(!stages.some(({ stage }) => stage === 'rewinding'));
  assert.ok(talk.server.victim.alive());
});

async function restoreRewound({ server, imagesDir }: Talk): Promise<readonly Finding[]> {
  const { restored, failure } = await restore(imagesDir, server.victim.pid, true);
  assert.ok(restored, JSON.stringify(failure));
  return restored.findings;
}

test('what the other side has sent and ended since is there to read', async (t) => {
  const talk = await savedTalk(t);
  const { server, client } = talk;
  client.signal('SIGKILL');
  for (const end = Date.now() + 10_000; client.alive(); ) {
    assert.ok(Date.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { rewound, failure } = await rewind(talk);
  assert.ok(rewound, JSON.stringify(failure));
  assert.deepEqual(await restoreRewound(talk), []);
  server.victim.signal('SIGTERM');
  await server.victim.waitForLine(/^FAIL read of "answered after"/);
  assert.doesNotMatch(server.victim.output(), /"answered before"/);
});

test('a connection that the program has ended comes back reset, which is told', async (t) => {
  const talk = await savedTalk(t);
  const { victim } = talk.server;
  victim.signal('SIGUSR2');
  await victim.waitForLine(/closed/);
  const { rewound, failure } = await rewind(talk);
  assert.ok(rewound, JSON.stringify(failure));
  const [lost] = await restoreRewound(talk);
  assert.equal(`${lost?.severity} ${lost?.code}`, 'loss ConnectionEnded');
  assert.match(lost?.object ?? '', CONNECTION);
  victim.signal('SIGTERM');
  // ECONNRESET
  await victim.waitForLine(/^FAIL .*"answered before".* \(errno 104\)/);
});

test('another pod is refused by the addresses, before anything changes', async (t) => {
  const { server, imagesDir } = await savedTalk(t);
  const placeholder = await startPlaceholder(server, 'all');
  t.after(() => placeholder[Symbol.dispose]());
  execFileSync('nsenter', ['--target', String(placeholder.pid), '--net', PROGRAM, 'up']);
  const { failure } = await restore(imagesDir, placeholder.pid, false);
  assert.equal(failure?.code, 'TcpLeavesPod', JSON.stringify(failure));
  assert.match(failure.message, CONNECTION);
  assert.ok(placeholder.alive());
});

test('a placeholder that is ended takes them with it: nobody is left with half a connection', async (t) => {
  const talk = await savedTalk(t);
  const { server, client } = talk;
  assert.ok((await rewind(talk)).rewound);
  process.kill(server.victim.pid, 'SIGKILL');
  client.signal('SIGTERM');
  await client.waitForLine(/^FAIL read of "asked after"/);
});
