import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { KubeConfig, type User } from '@kubernetes/client-node';
import { ApiError } from './api-error.ts';
import { Client } from './client.ts';
import { loadKubeConfig } from './kubeconfig.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { WIDGETS } from './testing/kinds.ts';
import { until } from './testing/until.ts';

let server: FakeApiServer;
let folder: string;
let clients: Client[];

beforeEach(async () => {
  server = await FakeApiServer.start({ kinds: [WIDGETS] });
  folder = mkdtempSync(join(tmpdir(), 'diapause-transport-'));
  clients = [];
});
afterEach(async () => {
  mock.timers.reset();
  clients.forEach((client) => client.close());
  await server.close();
  rmSync(folder, { recursive: true });
});

function clientAs(user: Omit<User, 'name'>, path = ''): Client {
  const config = new KubeConfig();
  const cluster = { name: 'c', server: `${server.url}${path}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(cluster, { name: 'u', ...user });
  const client = new Client({ config, fieldManager: 'test', timeoutMillis: 5000 });
  clients.push(client);
  return client;
}

const list = (client: Client) => client.resource(WIDGETS).list();
const authorization = () => server.requests.at(-1)?.headers.authorization;

describe('credentials', () => {
  it('a token', async () => {
    await list(clientAs({ token: 'abc' }));
    assert.equal(authorization(), 'Bearer abc');
  });

  it('a password', async () => {
    await list(clientAs({ username: 'me', password: 'pw' }));
    assert.equal(authorization(), `Basic ${Buffer.from('me:pw').toString('base64')}`);
  });

  it('a token file, read again after a while, whatever whitespace it ends with', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'first\n');
    const client = clientAs({ authProvider: { name: 'tokenFile', config: { tokenFile } } });
    await list(client);
    assert.equal(authorization(), 'Bearer first');
    writeFileSync(tokenFile, 'second\n');
    mock.timers.tick(61_000);
    await list(client);
    assert.equal(authorization(), 'Bearer second');
  });

  it('a plugin', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    };
    const args = [JSON.stringify(credential)];
    await list(clientAs({ exec: { command: '/bin/echo', args } }));
    assert.equal(authorization(), 'Bearer from-plugin');
  });

  it('a plugin that fails or never ends is a failure in time', async () => {
    const broken = clientAs({ exec: { command: '/bin/false' } });
    await assert.rejects(list(broken), (error) => reasonOf(error) === 'ConnectionFailed');
    const slow = clientAs({ exec: { command: '/bin/sleep', args: ['1'] } });
    const options = { timeoutMillis: 100 };
    await assert.rejects(
      slow.resource(WIDGETS).list(options),
      (error) => reasonOf(error) === 'TimedOut',
    );
    assert.equal(server.requests.length, 0);
  });
});

it('uses few connections for many requests', async () => {
  const client = clientAs({});
  const ports = new Set<number | undefined>();
  for (let i = 0; i < 20; i++) {
    await list(client);
    ports.add(server.requests.at(-1)?.remotePort);
  }
  assert.equal(ports.size, 1);
});

it('keeps the path of the server', async () => {
  await assert.rejects(list(clientAs({}, '/proxy')), (error) => reasonOf(error) === 'NotFound');
});

it('says who it is', async () => {
  await list(clientAs({}));
  assert.equal(server.requests[0]?.headers['user-agent'], 'diapause/test');
});

describe('a stream', () => {
  it('ends with the signal, with its reason', async () => {
    const abort = new AbortController();
    const options = { resourceVersion: '', timeoutSeconds: 60, signal: abort.signal };
    const stream = await clientAs({}).resource(WIDGETS).watch(options);
    const reason = new Error('enough');
    const reading = assert.rejects(
      async () => {
        for await (const _chunk of stream.chunks) {
          // nothing comes
        }
      },
      (error) => error === reason,
    );
    abort.abort(reason);
    await reading;
  });

  it('that breaks is no crash, read or not, and may be closed twice', async () => {
    const resource = clientAs({}).resource(WIDGETS);
    const options = { resourceVersion: '', timeoutSeconds: 60 };
    const unread = await resource.watch(options);
    const read = await resource.watch(options);
    server.watches.end('abruptly');
    await until('the end', () => server.watches.count() === 0);
    await assert.rejects(
      async () => {
        for await (const _chunk of read.chunks) {
          // nothing comes
        }
      },
      (error) => reasonOf(error) === 'ConnectionFailed',
    );
    unread.close();
    unread.close();
  });

  it('that is refused is the same error as any', async () => {
    server.faults.add({ action: { type: 'status', code: 410 } });
    const options = { resourceVersion: '5', timeoutSeconds: 60 };
    await assert.rejects(
      clientAs({}).resource(WIDGETS).watch(options),
      (error) => reasonOf(error) === 'Gone',
    );
    server.faults.add({ action: { type: 'hang' } });
    await assert.rejects(
      clientAs({})
        .resource(WIDGETS)
        .watch({ ...options, timeoutMillis: 50 }),
      (error) => reasonOf(error) === 'TimedOut',
    );
  });
});

describe('a kubeconfig', () => {
  const text = (server_: string): string => `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${server_}", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: xyz}}]
contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: none, user: u}}]
current-context: one
`;

  it('is read from a file, with a context', async () => {
    const path = join(folder, 'config');
    writeFileSync(path, text(server.url));
    const client = new Client({ config: loadKubeConfig({ path }), fieldManager: 'test' });
    clients.push(client);
    await list(client);
    assert.equal(authorization(), 'Bearer xyz');
    for (const context of ['two', 'unknown']) {
      assert.throws(
        () => loadKubeConfig({ path, context }),
        (error) => error instanceof Error && error.message.includes('one, two'),
      );
    }
  });
});

function reasonOf(error: unknown): string | undefined {
  return error instanceof ApiError ? error.reason : undefined;
}
