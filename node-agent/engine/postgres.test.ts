// PostgreSQL: a dozen processes with System V and POSIX shared memory, saved and restored as its own user.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type CriuProgram, diapause, restoreWith } from '../../test/victims/criu-command.ts';
import { dumpTask, startEngine } from '../../test/victims/engine-process.ts';
import { enterPrivateNamespaces } from '../../test/victims/private-namespaces.ts';
import { startVictim, type Victim, watch } from '../../test/victims/victim.ts';
import type { DumpTask } from './protocol.ts';

enterPrivateNamespaces();

const VERSIONS = '/usr/lib/postgresql';
const ROWS = 10_000;
const [version] = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort().reverse() : [];
const skip = version === undefined ? `nothing below ${VERSIONS}` : false;

const base = mkdtempSync(join(tmpdir(), 'diapause-postgres-'));
after(() => rmSync(base, { recursive: true, force: true }));
const data = join(base, 'data');
const AS_POSTGRES = ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'];

const program = (name: string): string => join(VERSIONS, version ?? '', 'bin', name);

function asPostgres(...command: readonly string[]): string {
  const [first = '', ...args] = [...AS_POSTGRES, ...command];
  return execFileSync(first, args, {
    encoding: 'utf8',
    cwd: base,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const query = (text: string): string =>
  asPostgres('psql', '-qAt', '-h', base, '-d', 'postgres', '-c', text).trim();

async function dump(victim: Victim, afterDump: DumpTask['afterDump']): Promise<string> {
  const images = mkdtempSync(join(base, 'images-'));
  const { failure, result } = await startEngine(dumpTask(victim.pid, images, { afterDump })).ended;
  assert.ok(result, JSON.stringify(failure));
  return images;
}

/** Our command in an IPC namespace of its own. */
function inNewNamespace(): CriuProgram {
  const path = join(base, 'criu');
  writeFileSync(path, `#!/bin/sh\nexec unshare --ipc ${diapause.path} "$@"\n`);
  chmodSync(path, 0o755);
  return { name: 'diapause', path };
}

function mustHold(factor: number): void {
  const sum = (factor * ROWS * (ROWS + 1)) / 2;
  assert.equal(query('select count(*), sum(n) from numbers'), `${ROWS}|${sum}`);
  assert.equal(query("select bt_index_check('numbers_pkey') is null"), 'f');
}

test('PostgreSQL goes on where it was', { skip }, async () => {
  chmodSync(base, 0o777);
  asPostgres(program('initdb'), '-D', data, '--no-sync');
  const command = [...AS_POSTGRES, program('postgres'), '-D', data, '-k', base, '-h', ''];
  using victim = await startVictim('/usr/bin/unshare', ['--ipc', ...command], {
    readyLine: /ready to accept connections/,
  });
  query('create extension amcheck');
  query(`create table numbers as select n, repeat('x', 100) from generate_series(1, ${ROWS}) n`);
  query('alter table numbers add primary key (n)');
  await dump(victim, 'Resume');
  mustHold(1);
  const images = await dump(victim, 'Kill');
  const { status, log } = await restoreWith(inNewNamespace(), images);
  assert.equal(status, 0, log.slice(-3000));
  using restored = watch(victim.pid, victim.dir, join(victim.dir, 'out'));
  mustHold(1);
  query('update numbers set n = -n');
  query('update numbers set n = -2 * n');
  mustHold(2);
  restored.signal('SIGTERM');
  await restored.waitForLine(/database system is shut down/);
  assert.doesNotMatch(restored.output(), /\b(PANIC|FATAL|ERROR):/);
});
