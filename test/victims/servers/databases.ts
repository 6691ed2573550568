// Servers that keep what they count in files, and can tell whether it is whole.
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { buildVictim } from '../victim.ts';
import { programLine } from './line.ts';
import * as protocols from './protocols.ts';
import type { Server, ServerPlace } from './server.ts';

const AS_NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];

/** @returns what it printed. @throws Error with its complaints */
function run([program = '', ...args]: readonly string[], input = ''): string {
  return execFileSync(program, args, { encoding: 'utf8', input, stdio: 'pipe' }).trim();
}

const data = ({ dir }: ServerPlace): string => join(dir, 'data');

const SYSTEM_TABLES = '/usr/share/mysql/mysql_system_tables';

const mariadbClient = ({ port }: ServerPlace, ...more: readonly string[]): readonly string[] => [
  'mariadb',
  '--no-defaults',
  '--host=127.0.0.1',
  `--port=${port}`,
  '--skip-column-names',
  ...more,
  'test',
];

export const mariadb: Server = {
  name: 'MariaDB',
  needs: ['mariadbd', 'mariadb'],
  readyLine: /ready for connections/,
  protocol: protocols.mariadb,
  complaint: /\[ERROR\]|corrupt/i,
  prepare(place) {
    run([...AS_NOBODY, 'mkdir', data(place)]);
    const tables = ['.sql', '_data.sql'].map((end) => run(['cat', SYSTEM_TABLES + end]));
    run(
      [...AS_NOBODY, 'mariadbd', '--no-defaults', '--bootstrap', `--datadir=${data(place)}`],
      ['create database mysql;', 'create database test;', 'use mysql;', ...tables, ''].join('\n'),
    );
  },
  // Its disk requests go through io_uring where it may, which container runtimes forbid.
  command: (place) => [
    buildVictim('no-io-uring'),
    ...AS_NOBODY,
    'mariadbd',
    '--no-defaults',
    `--datadir=${data(place)}`,
    `--socket=${place.dir}/socket`,
    `--port=${place.port}`,
    '--bind-address=127.0.0.1',
    '--skip-grant-tables',
    '--skip-networking=0',
  ],
  fill: (place) =>
    void run(mariadbClient(place), 'create table counts (name varchar(50) primary key, n int);'),
  line: (place) => programLine(mariadbClient(place, '--unbuffered')),
  check(place) {
    const said = run(mariadbClient(place), 'check table counts extended;');
    if (!said.endsWith('\tstatus\tOK')) throw new Error(said);
  },
};

const bin = (name: string): string => globSync(`/usr/lib/postgresql/*/bin/${name}`).at(-1) ?? name;

const to = ({ port }: ServerPlace): readonly string[] => [
  '--host=127.0.0.1',
  `--port=${port}`,
  '--username=test',
  'postgres',
];

function psql(place: ServerPlace, statement: string): string {
  return run(['psql', '-qAt', ...to(place), '-c', statement]);
}

export const postgresql: Server = {
  name: 'PostgreSQL',
  needs: ['pgbench', 'psql'],
  readyLine: /ready to accept connections/,
  protocol: protocols.postgres,
  reload: { signal: 'SIGHUP', done: /received SIGHUP/ },
  complaint: /\b(PANIC|ERROR):/,
  prepare: (place) =>
    void run([
      ...AS_NOBODY,
      bin('initdb'),
      '-D',
      data(place),
      '--no-sync',
      '--username=test',
      '--auth=trust',
    ]),
  command: (place) => [
    ...AS_NOBODY,
    bin('postgres'),
    '-D',
    data(place),
    '-k',
    place.dir,
    '-h',
    '127.0.0.1',
    '-p',
    String(place.port),
  ],
  fill(place) {
    psql(place, 'create extension amcheck; create table counts (name text primary key, n int)');
    run(['pgbench', '--initialize', '--quiet', ...to(place)]);
  },
  line: (place) => programLine(['psql', '-qAt', ...to(place)]),
  load: (place) => programLine(['pgbench', ...to(place), '-n', '-c', '3', '-T', '600']),
  check(place) {
    run([bin('pg_amcheck'), ...to(place), '--heapallindexed', '--parent-check']);
    const different = psql(place, protocols.PGBENCH_DIFFERENT_SUMS);
    if (different !== '0') throw new Error('pgbench: the sums of its tables differ');
  },
};
