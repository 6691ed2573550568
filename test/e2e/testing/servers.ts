// Servers in pods, each told to count: how they are started, asked, and have themselves checked.
import { join } from 'node:path';
import type { ImageDefinition } from '../../../deploy/images/images.ts';
import { type Line, programLine, tcpLine } from '../../victims/servers/line.ts';
import * as protocols from '../../victims/servers/protocols.ts';
import { CLUSTER_FOLDER } from './cluster.ts';
import type { Scene } from './scene.ts';
import { SERVER_IMAGES } from './server-images.ts';
import { type PodManifest, witness } from './witness.ts';

export interface ServerInPod {
  readonly name: string;
  readonly image: { readonly reference: string };
  readonly protocol: protocols.Protocol;
  readonly port: number;
  readonly command: readonly string[];
  /** its clients are programs of its image, in a pod of their own */
  readonly hasClientPod?: boolean;
  /** once it runs */
  fill?(scene: Scene, address: string): Promise<void>;
  line(scene: Scene, address: string): Line;
  /** more work, by a program that says when anything goes wrong */
  load?(scene: Scene, address: string): Line;
  /** its own check of what it holds. @throws Error */
  check?(scene: Scene, pod: string, address: string): Promise<void>;
}

const PORT = 8000;
export const CLIENT_POD = 'client';

/** As a client of the pod, from outside of the cluster. */
const byTcp = (port: number) => (_scene: Scene, address: string) => tcpLine(address, port);

/** A program in the client pod, with its standard input. */
function inClientPod(scene: Scene, ...command: readonly string[]): Line {
  const kubectl = [join(CLUSTER_FOLDER, 'bin/kubectl'), '-n', scene.namespace];
  const config = `--kubeconfig=${join(CLUSTER_FOLDER, 'kubeconfig')}`;
  return programLine([...kubectl, config, 'exec', '-i', CLIENT_POD, '--', ...command]);
}

const byHttp = (name: string, image: ImageDefinition, command: readonly string[]): ServerInPod => ({
  name,
  image,
  command,
  protocol: protocols.http,
  port: PORT,
  line: byTcp(PORT),
});

const redis: ServerInPod = {
  name: 'redis',
  image: { reference: 'demo/redis:dev' },
  protocol: protocols.redis,
  port: 6379,
  command: [
    '/usr/bin/redis-server',
    ...['--bind', '*', '--protected-mode', 'no', '--dir', '/data', '--appendonly', 'yes'],
    ...['--enable-debug-command', 'yes'],
  ],
  line: byTcp(6379),
  async check({ kubectl }, pod) {
    const say = async (...words: readonly string[]): Promise<string> =>
      (await kubectl.exec(pod, ['redis-cli', ...words])).trim();
    const before = await say('debug', 'digest');
    const said = await say('debug', 'loadaof');
    const after = await say('debug', 'digest');
    if (said !== 'OK' || before !== after) throw new Error(`${said}: ${before}, file: ${after}`);
  },
};

const memcached: ServerInPod = {
  name: 'memcached',
  image: SERVER_IMAGES.memcached,
  protocol: protocols.memcached,
  port: PORT,
  command: ['/usr/bin/memcached', '-p', String(PORT)],
  line: byTcp(PORT),
};

const NGINX = `daemon off; worker_processes 2; pid /work/pid; error_log stderr notice;
events { worker_connections 64; }
http {
  access_log /work/access.log; keepalive_requests 1000000;
  client_body_temp_path /work/body; proxy_temp_path /work/proxy; fastcgi_temp_path /work/fastcgi;
  uwsgi_temp_path /work/uwsgi; scgi_temp_path /work/scgi;
  server { listen ${PORT}; location / { return 200 $connection_requests; } }
}`;

const nginx: ServerInPod = {
  ...memcached,
  name: 'nginx',
  image: SERVER_IMAGES.nginx,
  protocol: protocols.nginx,
  command: [
    '/usr/bin/sh',
    '-c',
    `echo '${NGINX}' > /work/conf && exec nginx -p /work -c /work/conf -e stderr`,
  ],
};

const gunicorn = byHttp('gunicorn', SERVER_IMAGES.gunicorn, [
  'gunicorn',
  ...['--chdir', '/app', '--preload', '--workers', '2', '--worker-class', 'gthread'],
  ...['--threads', '16', '--keep-alive', '60', '--bind', `0.0.0.0:${PORT}`, 'counting:application'],
]);
const node = byHttp('Node', SERVER_IMAGES.node, ['node', '/app/counting.cjs', String(PORT)]);
const go = byHttp('Go', SERVER_IMAGES.go, ['/app/counting', String(PORT)]);
const jvm = byHttp('JVM', SERVER_IMAGES.jvm, [
  '/usr/lib/jvm/default-java/bin/java',
  '-Xmx64m',
  '/app/Counting.java',
  String(PORT),
]);

const SYSTEM_TABLES = '/usr/share/mysql/mysql_system_tables';
const toMariadb = (address: string): readonly string[] => [
  'mariadb',
  ...['--no-defaults', `--host=${address}`, '--skip-column-names', '--unbuffered', 'test'],
];

const mariadb: ServerInPod = {
  name: 'MariaDB',
  image: SERVER_IMAGES.mariadb,
  protocol: protocols.mariadb,
  port: 3306,
  hasClientPod: true,
  command: [
    '/usr/bin/sh',
    '-ec',
    `mkdir /data/mysql
    { printf '%s\\n' 'create database mysql;' 'create database test;' 'use mysql;'; cat ${SYSTEM_TABLES}.sql ${SYSTEM_TABLES}_data.sql; } |
      mariadbd --no-defaults --bootstrap --datadir=/data/mysql
    exec mariadbd --no-defaults --datadir=/data/mysql --socket=/tmp/socket --skip-grant-tables --skip-networking=0`,
  ],
  async fill({ kubectl }, address) {
    const table = 'create table counts (name varchar(50) primary key, n int);';
    await kubectl.exec(CLIENT_POD, [...toMariadb(address), '-e', table]);
  },
  line: (scene, address) => inClientPod(scene, ...toMariadb(address)),
  async check({ kubectl }, _pod, address) {
    const command = [...toMariadb(address), '-e', 'check table counts extended'];
    const said = (await kubectl.exec(CLIENT_POD, command)).trim();
    if (!said.endsWith('\tstatus\tOK')) throw new Error(said);
  },
};

const toPostgres = (address: string): readonly string[] => [
  ...['-h', address, '-U', 'test'],
  'postgres',
];
const pg = (name: string, rest: string): readonly string[] => [
  '/usr/bin/sh',
  '-c',
  `exec /usr/lib/postgresql/*/bin/${name} ${rest} "$@"`,
  'sh',
];
const psql = (address: string, ...rest: readonly string[]): readonly string[] => [
  ...pg('psql', '-qAt'),
  ...rest,
  ...toPostgres(address),
];

const postgresql: ServerInPod = {
  name: 'PostgreSQL',
  image: SERVER_IMAGES.postgresql,
  protocol: protocols.postgres,
  port: 5432,
  hasClientPod: true,
  command: [
    '/usr/bin/sh',
    '-ec',
    `cd /usr/lib/postgresql/*/bin
    ./initdb -D /data/pg --no-sync --username=test --auth=trust > /dev/null
    echo 'host all all all trust' >> /data/pg/pg_hba.conf
    exec ./postgres -D /data/pg -k /tmp -h '*'`,
  ],
  async fill({ kubectl }, address) {
    const sql = 'create extension amcheck; create table counts (name text primary key, n int)';
    await kubectl.exec(CLIENT_POD, psql(address, '-c', sql));
    await kubectl.exec(CLIENT_POD, [...pg('pgbench', '-i -q'), ...toPostgres(address)]);
  },
  line: (scene, address) => inClientPod(scene, ...psql(address)),
  load: (scene, address) =>
    inClientPod(scene, ...pg('pgbench', '-n -c 3 -T 600'), ...toPostgres(address)),
  async check({ kubectl }, _pod, address) {
    const amcheck = pg('pg_amcheck', '--heapallindexed --parent-check');
    await kubectl.exec(CLIENT_POD, [...amcheck, ...toPostgres(address)]);
    const sql = protocols.PGBENCH_DIFFERENT_SUMS;
    const different = (await kubectl.exec(CLIENT_POD, psql(address, '-c', sql))).trim();
    if (different !== '0') throw new Error('pgbench: the sums of its tables differ');
  },
};

export const SERVERS_IN_PODS: readonly ServerInPod[] = [
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

/** Its data lie in an emptyDir. */
export function serverPod({ image, command, port }: ServerInPod): PodManifest {
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  const readinessProbe = { tcpSocket: { port }, periodSeconds: 1 };
  return witness({
    name: 'server',
    container: { image: image.reference, command, readinessProbe, volumeMounts },
    spec: { volumes: [{ name: 'data', emptyDir: {} }] },
  });
}

export function clientPod({ image }: ServerInPod): PodManifest {
  const container = { image: image.reference, command: ['/usr/bin/sleep', 'infinity'] };
  return witness({ name: CLIENT_POD, container });
}
