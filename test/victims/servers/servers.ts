// Servers that people run, each told to count: how they are started and asked.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildVictim } from '../victim.ts';
import { mariadb, postgresql } from './databases.ts';
import { type Line, tcpLine } from './line.ts';
import * as protocols from './protocols.ts';
import type { Server, ServerPlace } from './server.ts';

const here = dirname(fileURLToPath(import.meta.url));
const line = ({ port }: ServerPlace): Line => tcpLine('127.0.0.1', port);

const redis: Server = {
  name: 'redis',
  needs: ['redis-server', 'redis-cli'],
  readyLine: /Ready to accept connections/,
  protocol: protocols.redis,
  command: ({ dir, port }) => [
    'redis-server',
    ...['--port', String(port), '--dir', dir, '--appendonly', 'yes'],
    ...['--enable-debug-command', 'yes'],
  ],
  line,
  check({ port }) {
    const say = (...words: readonly string[]): string =>
      execFileSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' }).trim();
    const before = say('debug', 'digest');
    for (const command of [
      ['debug', 'reload'],
      ['debug', 'loadaof'],
    ]) {
      const said = say(...command);
      if (said !== 'OK') throw new Error(`${command.join(' ')}: ${said}`);
    }
    const after = say('debug', 'digest');
    if (before !== after) throw new Error('redis holds other keys than its files');
  },
};

const memcached: Server = {
  name: 'memcached',
  needs: ['memcached'],
  readyLine: /server listening/,
  protocol: protocols.memcached,
  command: ({ port }) => ['memcached', '-vv', '-u', 'nobody', '-p', String(port)],
  line,
};

const nginx: Server = {
  name: 'nginx',
  needs: ['nginx'],
  readyLine: /start worker process /,
  protocol: protocols.nginx,
  reload: { signal: 'SIGHUP', done: /(worker process \d+ exited with code 0[^]*){2}/ },
  stop: 'SIGQUIT',
  complaint: /\[(emerg|alert|crit|error)\]/,
  prepare: ({ dir, port }) =>
    writeFileSync(
      join(dir, 'conf'),
      `daemon off; worker_processes 2; pid ${dir}/pid; error_log stderr notice;
      events { worker_connections 64; }
      http {
        access_log ${dir}/access.log; keepalive_requests 1000000;
        client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
        uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
        server { listen ${port}; location / { return 200 $connection_requests; } }
      }`,
    ),
  command: ({ dir }) => ['nginx', '-p', dir, '-c', join(dir, 'conf'), '-e', 'stderr'],
  line,
};

const gunicorn: Server = {
  name: 'gunicorn',
  needs: ['gunicorn'],
  readyLine: /Booting worker/,
  protocol: protocols.http,
  complaint: /\[(ERROR|CRITICAL)\]|Traceback/,
  command: ({ port }) => [
    'gunicorn',
    ...['--chdir', here, '--preload', '--workers', '2', '--worker-class', 'gthread'],
    ...['--threads', '16', '--keep-alive', '60', '--bind', `127.0.0.1:${port}`],
    'counting:application',
  ],
  line,
};

const node: Server = {
  name: 'Node',
  needs: ['node'],
  readyLine: /ready/,
  protocol: protocols.http,
  command: ({ port }) => [
    buildVictim('no-io-uring'),
    'node',
    join(here, 'counting.cjs'),
    String(port),
  ],
  line,
};

const go: Server = {
  name: 'Go',
  needs: ['go'],
  readyLine: /ready/,
  protocol: protocols.http,
  prepare: ({ dir }) =>
    void execFileSync('go', ['build', '-o', join(dir, 'counting'), join(here, 'counting.go')]),
  command: ({ dir, port }) => [join(dir, 'counting'), String(port)],
  line,
};

const jvm: Server = {
  name: 'JVM',
  needs: ['java'],
  readyLine: /ready/,
  protocol: protocols.http,
  command: ({ port }) => ['java', '-Xmx64m', join(here, 'Counting.java'), String(port)],
  line,
};

export const SERVERS: readonly Server[] = [
  redis,
  memcached,
  nginx,
  gunicorn,
  node,
  go,
  jvm,
  mariadb,
  postgresql,
];
