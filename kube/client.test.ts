import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { TypedObject } from '../crds/meta.ts';
import {
  ApiError,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  isTransient,
} from './api-error.ts';
import type { Client } from './client.ts';
import type { Resource } from './resource.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { PODS, SHELVES, WIDGETS, type Widget, widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';

let server: FakeApiServer;
let client: Client;
let widgets: Resource<Widget>;

beforeEach(async () => {
  server = await FakeApiServer.start({ kinds: [WIDGETS, PODS, SHELVES] });
  client = server.client({ fieldManager: 'tester', timeoutMillis: 5000 });
  widgets = client.resource<Widget>(WIDGETS);
});

afterEach(async () => {
  client.close();
  await server.close();
});

const A = { namespace: 'default', name: 'a' };

describe('reading', () => {
  it('gets, finds, and says NotFound', async () => {
    await widgets.create(widget('a', { size: 1 }));
    assert.equal((await widgets.get(A)).spec.size, 1);
    assert.equal(await widgets.find({ ...A, name: 'none' }), undefined);
    const error = await failure(widgets.get({ ...A, name: 'none' }));
    assert.ok(isNotFound(error));
    assert.deepEqual(
      [error.verb, error.resource, error.namespace, error.objectName, error.status, error.reason],
      ['get', 'widgets.test.dev', 'default', 'none', 404, 'NotFound'],
    );
  });

  it('lists page by page as one picture', async () => {
    for (let i = 0; i < 7; i++) {
      await widgets.create(widget(`w${i}`));
    }
    const { items, resourceVersion } = await widgets.list({ pageSize: 3 });
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ['w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6'],
    );
    assert.equal(server.requests.filter(({ verb }) => verb === 'list').length, 3);
    assert.equal(resourceVersion, items.at(-1)?.metadata.resourceVersion);
  });

  it('starts over in one page when the continue token has expired', async () => {
    for (let i = 0; i < 4; i++) {
      await widgets.create(widget(`w${i}`));
    }
    server.faults.add({ verb: 'list', action: { type: 'wait', until: Promise.resolve() } });
    server.faults.add({ verb: 'list', action: { type: 'status', code: 410 } });
    assert.equal((await widgets.list({ pageSize: 2 })).items.length, 4);
    assert.equal(server.requests.at(-1)?.query.get('limit'), null);
  });

  it('passes selectors and the namespace', async () => {
    await widgets.create(widget('a', { nodeName: 'n1' }, { labels: { app: 'x' } }));
    await widgets.create(widget('b', { nodeName: 'n2' }, { labels: { app: 'x' } }));
    await widgets.create(widget('c', { nodeName: 'n1' }, { namespace: 'other' }));
    const names = async (options: object): Promise<string[]> =>
      (await widgets.list(options)).items.map(({ metadata }) => metadata.name);
    assert.deepEqual(await names({ fieldSelector: 'spec.nodeName=n1' }), ['a', 'c']);
    assert.deepEqual(await names({ labelSelector: 'app in (x)' }), ['a', 'b']);
    assert.deepEqual(await names({ namespace: 'other' }), ['c']);
  });

  it('gives items of built-in kinds their kind', async () => {
    const pods = client.resource(PODS);
    await pods.create({ apiVersion: 'v1', kind: 'Pod', metadata: A });
    const [pod] = (await pods.list()).items;
    assert.deepEqual([pod?.apiVersion, pod?.kind], ['v1', 'Pod']);
  });

  it('reads raw paths', async () => {
    assert.equal(await client.getText('/readyz?verbose=true'), 'ok');
  });
});

describe('names', () => {
  it('never turns an empty name into the whole collection', async () => {
    await widgets.create(widget('a'));
    await assert.rejects(widgets.delete({ namespace: 'default', name: '' }), /is no name/);
    await assert.rejects(widgets.delete({ namespace: '', name: 'a' }), /is no namespace/);
    await assert.rejects(widgets.get({ namespace: 'default', name: '..' }), /is no name/);
    assert.ok(!server.requests.some(({ verb }) => verb.startsWith('delete')));
  });

  it('escapes what a name must not contain', async () => {
    assert.ok(isNotFound(await failure(widgets.get({ namespace: 'default', name: 'a/status?x' }))));
    assert.equal(server.requests.at(-1)?.name, 'a/status?x');
  });

  it('reaches cluster-scoped kinds', async () => {
    const shelves = client.resource<TypedObject>(SHELVES);
    await shelves.create({ apiVersion: 'test.dev/v1', kind: 'Shelf', metadata: { name: 's' } });
    assert.equal((await shelves.get({ name: 's' })).metadata.name, 's');
  });
});

describe('writing', () => {
  it('create refuses an existing name', async () => {
    await widgets.create(widget('a'));
    assert.ok(isAlreadyExists(await failure(widgets.create(widget('a')))));
  });

  it('dry runs store nothing', async () => {
    await widgets.create(widget('a'), { dryRun: true });
    assert.equal(server.peek(WIDGETS, A), undefined);
  });

  it('update replaces, and conflicts on an old version', async () => {
    const first = await widgets.create(widget('a', { size: 1, color: 'red' }));
    const second = await widgets.update({ ...first, spec: { size: 2 } });
    assert.deepEqual(second.spec, { size: 2 });
    assert.equal(second.metadata.generation, 2);
    const error = await failure(widgets.update({ ...first, spec: { size: 3 } }));
    assert.ok(isConflict(error) && !isAlreadyExists(error));
  });

  it('apply owns its fields only, and removes what it no longer names', async () => {
    const mine = { apiVersion: 'test.dev/v1', kind: 'Widget', metadata: A };
    await widgets.apply({ ...mine, spec: { size: 1, color: 'red' } });
    await widgets.apply({ ...mine, spec: { nodeName: 'n1' } }, { fieldManager: 'other' });
    const applied = await widgets.apply({ ...mine, spec: { size: 2 } });
    assert.deepEqual(applied.spec, { size: 2, nodeName: 'n1' });
  });

  it('apply takes fields over only with force', async () => {
    const mine = { apiVersion: 'test.dev/v1', kind: 'Widget', metadata: A };
    await widgets.apply({ ...mine, spec: { size: 1 } }, { fieldManager: 'other' });
    const error = await failure(widgets.apply({ ...mine, spec: { size: 2 } }, { force: false }));
    assert.ok(isConflict(error));
    assert.equal((await widgets.apply({ ...mine, spec: { size: 2 } })).spec.size, 2);
  });

  it('apply and patch of the status leave the spec alone, and the other way round', async () => {
    await widgets.create(widget('a', { size: 1 }));
    const mine = { apiVersion: 'test.dev/v1', kind: 'Widget', metadata: A };
    await widgets.applyStatus({ ...mine, spec: { size: 9 }, status: { seen: 1 } });
    await widgets.apply({ ...mine, spec: { size: 2 }, status: { seen: 9 } });
    const after = await widgets.mergePatchStatus(A, { spec: { size: 9 }, status: { seen: 2 } });
    assert.deepEqual([after.spec.size, after.status?.seen], [2, 2]);
    assert.equal(after.metadata.generation, 2);
  });

  it('merge patch changes, removes, and checks the version', async () => {
    const first = await widgets.create(widget('a', { size: 1, color: 'red' }));
    const { resourceVersion = '' } = first.metadata;
    const options = { resourceVersion };
    const patched = await widgets.mergePatch(A, { spec: { color: null } }, options);
    assert.deepEqual(patched.spec, { size: 1 });
    assert.ok(isConflict(await failure(widgets.mergePatch(A, { spec: { size: 2 } }, options))));
  });

  it('a patch keeps its own metadata beside the version', async () => {
    const { metadata } = await widgets.create(widget('a'));
    const { resourceVersion = '' } = metadata;
    const patch = { metadata: { labels: { x: 'y' } } };
    const patched = await widgets.mergePatch(A, patch, { resourceVersion });
    assert.deepEqual(patched.metadata.labels, { x: 'y' });
  });

  it('json patch adds, and a failed test is Invalid', async () => {
    await widgets.create(widget('a', { size: 1 }));
    const patched = await widgets.jsonPatch(A, [
      { op: 'test', path: '/spec/size', value: 1 },
      { op: 'add', path: '/spec/color', value: 'blue' },
    ]);
    assert.equal(patched.spec.color, 'blue');
    const error = await failure(
      widgets.jsonPatch(A, [{ op: 'test', path: '/spec/size', value: 7 }]),
    );
    assert.ok(isInvalid(error));
  });

  it('delete checks the uid and waits for finalizers', async () => {
    await widgets.create(widget('a', {}, { finalizers: ['test.dev/x'] }));
    assert.ok(isConflict(await failure(widgets.delete(A, { uid: 'another' }))));
    await widgets.delete(A, { propagation: 'Foreground', gracePeriodSeconds: 5 });
    assert.deepEqual(server.requests.at(-1)?.body, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Foreground',
      gracePeriodSeconds: 5,
    });
    assert.notEqual((await widgets.get(A)).metadata.deletionTimestamp, undefined);
    await widgets.mergePatch(A, { metadata: { finalizers: null } });
    assert.equal(await widgets.find(A), undefined);
    assert.ok(isNotFound(await failure(widgets.delete(A))));
  });
});

describe('failures', () => {
  it('turns statuses into facts', async () => {
    server.faults.add({ action: { type: 'status', code: 429, retryAfterSeconds: 7 } });
    const busy = await failure(widgets.get(A));
    assert.deepEqual([busy.reason, busy.retryAfterSeconds], ['TooManyRequests', 7]);
    assert.ok(isTransient(busy));
    server.faults.add({ action: { type: 'status', code: 403 } });
    const forbidden = await failure(widgets.get(A));
    assert.ok(isForbidden(forbidden) && !isTransient(forbidden));
  });

  it('gives up in time', async () => {
    server.faults.add({ action: { type: 'hang' } });
    const error = await failure(widgets.get(A, { timeoutMillis: 50 }));
    assert.deepEqual([error.status, error.reason], [0, 'TimedOut']);
  });

  it('ends a request with the reason of its signal', async () => {
    server.faults.add({ action: { type: 'hang' } });
    const abort = new AbortController();
    const answer = widgets.get(A, { signal: abort.signal });
    await until('the request arrived', () => server.requests.length === 1);
    const reason = new Error('enough');
    abort.abort(reason);
    await assert.rejects(answer, (error) => error === reason);
    await assert.rejects(widgets.get(A, { signal: abort.signal }), (error) => error === reason);
  });

  it('says that nobody answers', async () => {
    await server.close();
    const error = await failure(widgets.create(widget('a')));
    assert.deepEqual([error.status, error.reason], [0, 'ConnectionFailed']);
    assert.ok(isTransient(error));
  });

  it('repeats a read, but no write, when a kept connection turns out to be closed', async () => {
    await widgets.create(widget('a'));
    server.faults.add({ verb: 'get', action: { type: 'drop', when: 'before' } });
    assert.equal((await widgets.get(A)).metadata.name, 'a');
    server.faults.add({ verb: 'patch', action: { type: 'drop', when: 'after' } });
    const error = await failure(widgets.mergePatch(A, { spec: { size: 5 } }));
    assert.equal(error.reason, 'ConnectionFailed');
    assert.equal(server.requests.filter(({ verb }) => verb === 'patch').length, 1);
  });

  it('repeats a read once only, and not on a new connection', async () => {
    const drop = { type: 'drop', when: 'before' } as const;
    server.faults.add({ verb: 'get', action: drop });
    assert.equal((await failure(widgets.get(A))).reason, 'ConnectionFailed');
    assert.equal(server.requests.length, 1);
    await client.getText('/readyz');
    server.faults.add({ verb: 'get', times: 2, action: drop });
    assert.equal((await failure(widgets.get(A))).reason, 'ConnectionFailed');
    assert.equal(server.requests.length, 3);
  });

  it('does not take a proxy page for a status', async () => {
    const error = await failure(client.resource({ ...WIDGETS, group: 'unknown.dev' }).get(A));
    assert.equal(error.status, 404);
  });
});

it('acts as somebody else over the same connections', async () => {
  server.seed(WIDGETS, widget('a'));
  const node = client.as({ user: 'system:node:n1', groups: ['system:nodes', 'x'] });
  await node.resource<Widget>(WIDGETS).get(A);
  const { headers } = server.requests.at(-1) ?? {};
  assert.equal(headers?.['impersonate-user'], 'system:node:n1');
  assert.equal(headers?.['impersonate-group'], 'system:nodes, x');
  await widgets.get(A);
  assert.equal(server.requests.at(-1)?.headers['impersonate-user'], undefined);
});

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error;
  }
  return assert.fail('nothing was thrown');
}
