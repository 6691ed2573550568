// Servers under load: no client hears of a dump that lets them run on, and after a restore nothing that they held is
// lost. Those that this machine does not have are skipped, which the output says.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CriuProgram, diapause, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { Conversation, PassingClients } from '../../test/victims/servers/conversation.ts';
import type { Server, ServerPlace } from '../../test/victims/servers/server.ts';
import { SERVERS } from '../../test/victims/servers/servers.ts';
import { startVictim, type Victim, watch } from '../../test/victims/victim.ts';
import type { DumpTask } from './protocol.ts';

enterPrivateNamespaces();

/** What is counted at the same time, each on a connection of its own. */
const NAMES = ['one', 'two', 'three', 'four'];
/** So many of each client show that it goes on. */
const ANSWERS = 20;
const FIRST_PORT = 7100;
const PATIENCE_MILLIS = 20_000;

const base = mkdtempSync(join(tmpdir(), 'diapause-servers-'));
after(() => rmSync(base, { recursive: true, force: true }));
chmodSync(base, 0o777);

function missing({ needs }: Server): string | undefined {
  const absent = needs.find((name) => spawnSync('which', [name]).status !== 0);
  return absent === undefined ? undefined : `${absent} is not installed`;
}

/** In an IPC namespace of its own, as a pod has one. */
async function start(server: Server, place: ServerPlace): Promise<Victim> {
  chmodSync(place.dir, 0o777);
  server.prepare?.(place);
  const [command = '', ...args] = server.command(place);
  const path = execFileSync('which', [command], { encoding: 'utf8' }).trim();
  const { readyLine } = server;
  const victim = await startVictim('/usr/bin/unshare', ['--ipc', path, ...args], { readyLine });
  server.fill?.(place);
  return victim;
}

async function dump(victim: Victim, afterDump: DumpTask['afterDump']): Promise<string> {
  const images = mkdtempSync(join(base, 'images-'));
  const { failure, result } = await startEngine(dumpTask(victim.pid, images, { afterDump })).ended;
  assert.ok(result, JSON.stringify(failure));
  return images;
}

async function restore({ pid, dir }: Victim, images: string): Promise<Victim> {
  const path = join(base, 'criu');
  writeFileSync(path, `#!/bin/sh\nexec unshare --ipc ${diapause.path} "$@"\n`, { mode: 0o755 });
  const program: CriuProgram = { name: 'diapause', path };
  const { status, log } = await restoreWith(program, images);
  assert.equal(status, 0, log.slice(-3000));
  return watch(pid, dir, join(dir, 'out'));
}

const hear = (clients: readonly Conversation[]): Promise<unknown> =>
  Promise.all(clients.map((one) => one.hears(ANSWERS)));

/** Saved twice in the middle of everything, and once more with its end. @returns what each client has heard last */
async function saveUnderLoad(server: Server, place: ServerPlace, victim: Victim) {
  const load = server.load?.(place);
  let complaints = '';
  load?.in.on('data', (text) => (complaints += String(text)));
  const open = () => server.line(place);
  const passing = new PassingClients(open, server.protocol, 'passing');
  const clients = NAMES.map((name) => new Conversation(open(), server.protocol, { name }));
  await hear(clients);
  await dump(victim, 'Resume');
  const before = passing.came;
  await dump(victim, 'Resume');
  await hear(clients);
  await passing[Symbol.asyncDispose]();
  assert.deepEqual(
    [passing.failure, complaints.match(/.*(error|abort).*/i)?.[0]],
    [undefined, undefined],
  );
  assert.ok(passing.came > before, 'nobody came during the second dump');
  const images = await dump(victim, 'Kill');
  await Promise.all(clients.map((client) => client.breaks()));
  load?.close();
  const longestMillis = Math.max(...clients.map((client) => client.longestMillis));
  return { images, longestMillis, lasts: clients.map(({ last }) => last) };
}

/** @param lasts what was heard before, by name */
function reconnect(server: Server, place: ServerPlace, lasts: readonly number[]): Conversation[] {
  return NAMES.map((name, index) => {
    const talk = { name, last: lasts[index] ?? 0, mayFindPending: true };
    return new Conversation(server.line(place), server.protocol, talk);
  });
}

async function until(what: string, victim: Victim, isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MILLIS; !isSo(); await sleep(20)) {
    assert.ok(Date.now() < end, `not seen: ${what}; it said: ${victim.output().slice(-2000)}`);
  }
}

/** It is no mere picture: it forks and ends as it should. */
async function reloadAndEnd(
  server: Server,
  place: ServerPlace,
  victim: Victim,
  lasts: readonly number[],
): Promise<void> {
  const { reload, stop = 'SIGTERM' } = server;
  if (reload !== undefined) {
    victim.signal(reload.signal);
    await until(String(reload.done), victim, () => reload.done.test(victim.output()));
  }
  const clients = reconnect(server, place, lasts);
  await hear(clients);
  await Promise.all(clients.map((client) => client.ends()));
  server.check?.(place);
  victim.signal(stop);
  await until('its end', victim, () => !victim.alive());
  if (server.complaint) assert.doesNotMatch(victim.output(), server.complaint);
}

describe('servers under load', () => {
  for (const [index, server] of SERVERS.entries()) {
    test(server.name, async (t) => {
      const why = missing(server);
      if (why !== undefined) return t.skip(why);
      const place = { dir: mkdtempSync(join(base, 'server-')), port: FIRST_PORT + index };
      using victim = await start(server, place);
      const { images, lasts, longestMillis } = await saveUnderLoad(server, place, victim);
      t.diagnostic(`longest answer around two dumps: ${longestMillis.toFixed(0)} ms`);
      using restored = await restore(victim, images);
      const clients = reconnect(server, place, lasts);
      await hear(clients);
      await dump(restored, 'Resume');
      await hear(clients);
      await Promise.all(clients.map((client) => client.ends()));
      await reloadAndEnd(
        server,
        place,
        restored,
        clients.map(({ last }) => last),
      );
    });
  }
});
