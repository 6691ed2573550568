// The same client against a real API server, where one is at hand: what our test server claims must hold there.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TypedObject } from '../crds/meta.ts';
import { isAlreadyExists, isConflict, isForbidden, isInvalid, isNotFound } from './api-error.ts';
import { reviewAccess } from './access-review.ts';
import { Client } from './client.ts';
import { untilAborted } from './clock.ts';
import { EVENTS, EventRecorder, type KubeEvent, referenceTo } from './events.ts';
import { loadKubeConfig } from './kubeconfig.ts';
import { LEASES, LeaderElection, type Lease } from './lease.ts';
import { ListWatch } from './list-watch.ts';
import type { Resource } from './resource.ts';
import { WIDGETS, type Widget, widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';

const path = process.env['DIAPAUSE_TEST_KUBECONFIG'];
// Only when asked for: a unit test must not find its way to whatever cluster happens to be configured.
const skip =
  path === undefined ? 'no cluster given: set DIAPAUSE_TEST_KUBECONFIG to a kubeconfig' : false;

const NAMESPACE = `diapause-kube-test-${process.pid}`;
const GROUP = `t${process.pid}.diapause-test.dev`;
const TYPE = { ...WIDGETS, group: GROUP };
const CRDS = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const NAMESPACES = { group: '', version: 'v1', plural: 'namespaces', namespaced: false };
const SECRETS = { group: '', version: 'v1', plural: 'secrets', namespaced: true };

interface Definition extends TypedObject {
  readonly spec: unknown;
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

const definition: Definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        selectableFields: [{ jsonPath: '.spec.nodeName' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  size: { type: 'integer', maximum: 1000 },
                  nodeName: { type: 'string' },
                  color: { type: 'string' },
                },
              },
              status: {
                type: 'object',
                properties: { seen: { type: 'integer' } },
              },
            },
          },
        },
      },
    ],
  },
};

const own = (name: string, spec: Widget['spec'] = {}, labels: Record<string, string> = {}) => ({
  ...widget(name, spec, { namespace: NAMESPACE, labels }),
  apiVersion: `${GROUP}/v1`,
});
const ref = (name: string) => ({ namespace: NAMESPACE, name });

describe('a real API server', { skip }, () => {
  let client: Client;
  let widgets: Resource<Widget>;

  before(async () => {
    client = new Client({ config: loadKubeConfig({ path }), fieldManager: 'tester' });
    widgets = client.resource<Widget>(TYPE);
    const definitions = client.resource<Definition>(CRDS);
    await definitions.apply(definition);
    await client.resource(NAMESPACES).create({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE },
    });
    let served = false;
    for (let attempt = 0; !served && attempt < 200; attempt++) {
      const { status } = await definitions.get(definition.metadata);
      served = (status?.conditions ?? []).some(
        ({ type, status: value }) => type === 'Established' && value === 'True',
      );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(served, 'the definition was not established');
  });

  after(async () => {
    await client.resource(CRDS).delete(definition.metadata);
    await client.resource(NAMESPACES).delete({ name: NAMESPACE });
    client.close();
  });

  it('answers /readyz', async () => {
    assert.equal(await client.getText('/readyz'), 'ok');
  });

  it('creates, refuses, replaces', async () => {
    const first = await widgets.create(own('a', { size: 1, color: 'red' }));
    assert.ok(isAlreadyExists(await failure(widgets.create(own('a')))));
    assert.ok(isInvalid(await failure(widgets.create(own('b', { size: 5000 })))));
    const second = await widgets.update({ ...first, spec: { size: 2 } });
    assert.deepEqual([second.spec, second.metadata.generation], [{ size: 2 }, 2]);
    assert.ok(isConflict(await failure(widgets.update({ ...first, spec: { size: 3 } }))));
    assert.ok(isNotFound(await failure(widgets.get(ref('none')))));
  });

  it('applies as our test server does', async () => {
    const mine = { apiVersion: `${GROUP}/v1`, kind: 'Widget' as const, metadata: ref('applied') };
    await widgets.apply({ ...mine, spec: { size: 1, color: 'red' } });
    await widgets.apply({ ...mine, spec: { nodeName: 'n1' } }, { fieldManager: 'other' });
    const applied = await widgets.apply({ ...mine, spec: { size: 2 } });
    assert.deepEqual(applied.spec, { size: 2, nodeName: 'n1' });
    const contested = { ...mine, spec: { nodeName: 'n2' } };
    assert.ok(isConflict(await failure(widgets.apply(contested, { force: false }))));
    await widgets.applyStatus({ ...mine, spec: { size: 9 }, status: { seen: 1 } });
    const after = await widgets.apply({ ...mine, spec: { size: 3 }, status: { seen: 9 } });
    assert.deepEqual([after.spec.size, after.status?.seen], [3, 1]);
    const version = { ...mine, metadata: { ...mine.metadata, resourceVersion: '1' } };
    assert.ok(isConflict(await failure(widgets.apply({ ...version, spec: { size: 4 } }))));
  });

  it('patches with preconditions', async () => {
    const { metadata } = await widgets.create(own('patched', { size: 1, color: 'red' }));
    const { resourceVersion = '' } = metadata;
    const patched = await widgets.mergePatch(
      metadata,
      { spec: { color: null } },
      { resourceVersion },
    );
    assert.deepEqual(patched.spec, { size: 1 });
    const late = widgets.mergePatch(ref('patched'), { spec: { size: 2 } }, { resourceVersion });
    assert.ok(isConflict(await failure(late)));
    const stale = widgets.mergePatchStatus(
      ref('patched'),
      { status: { seen: 1 } },
      { resourceVersion },
    );
    assert.ok(isConflict(await failure(stale)));
    const wrong = widgets.jsonPatch(ref('patched'), [{ op: 'test', path: '/spec/size', value: 7 }]);
    assert.ok(isInvalid(await failure(wrong)));
  });

  it('deletes with preconditions, and waits for finalizers', async () => {
    const object = own('kept');
    const metadata = { ...object.metadata, finalizers: [`${GROUP}/test`] };
    const { metadata: created } = await widgets.create({ ...object, metadata });
    assert.ok(isConflict(await failure(widgets.delete(created, { uid: 'another' }))));
    await widgets.delete(created, { uid: created.uid ?? '', propagation: 'Background' });
    assert.ok((await widgets.get(created)).metadata.deletionTimestamp);
    await widgets.mergePatch(created, { metadata: { finalizers: null } });
    assert.equal(await widgets.find(created), undefined);
  });

  it('lists in pages, with selectors', async () => {
    for (let i = 0; i < 7; i++) {
      await widgets.create(
        own(`page${i}`, { nodeName: i % 2 === 0 ? 'even' : 'odd' }, { x: 'page' }),
      );
    }
    const labelSelector = 'x=page';
    assert.equal((await widgets.list({ pageSize: 3, labelSelector })).items.length, 7);
    const fieldSelector = 'spec.nodeName=even';
    assert.equal((await widgets.list({ namespace: NAMESPACE, fieldSelector })).items.length, 4);
    const [secret] = (await client.resource(SECRETS).list({ pageSize: 1 })).items;
    assert.ok(secret === undefined || (secret.kind === 'Secret' && secret.apiVersion === 'v1'));
  });

  it('is confined when it acts as somebody else', async () => {
    const nobody = client.as({ user: 'nobody', groups: ['system:authenticated'] });
    const error = await failure(nobody.resource(SECRETS).list({ namespace: NAMESPACE }));
    assert.ok(isForbidden(error), String(error));
  });

  it('elects one leader, and gives the lease back', async () => {
    const leases = client.resource<Lease>(LEASES);
    const lease = ref('election');
    const elect = (identity: string) =>
      new LeaderElection({ leases, lease, identity, leaseMillis: 3000 });
    const abort = new AbortController();
    const first = elect('a').lead(abort.signal, untilAborted);
    await untilAsync('a leader', async () => (await leases.find(lease)) !== undefined);
    const next = elect('b').lead(AbortSignal.timeout(20_000), async () => {
      assert.equal((await leases.get(lease)).spec?.holderIdentity, 'b');
      await Promise.resolve();
    });
    abort.abort();
    assert.equal(await first, 'stopped');
    assert.equal(await next, 'finished');
    assert.equal((await leases.get(lease)).spec?.holderIdentity ?? '', '');
  });

  it('records an event and its series', async () => {
    const events = client.resource<KubeEvent>(EVENTS);
    const errors: unknown[] = [];
    const recorder = new EventRecorder({
      events,
      reportingController: 'diapause-test.dev/controller',
      reportingInstance: 'test-0',
      onError: (error) => errors.push(error),
    });
    const regarding = referenceTo(await widgets.create(own('eventful')));
    const occurrence = { regarding, type: 'Normal', reason: 'Tested', action: 'Testing' } as const;
    recorder.record({ ...occurrence, note: 'ü'.repeat(900) });
    const abort = new AbortController();
    const running = recorder.run(abort.signal);
    await until('the event', () => recorder.counters.written === 1 || errors.length > 0);
    recorder.record({ ...occurrence, note: 'ü'.repeat(900) });
    recorder.record({ ...occurrence, note: 'another' });
    abort.abort();
    await running;
    assert.deepEqual(errors, []);
    const { items } = await events.list({ namespace: NAMESPACE });
    const tested = items.filter(({ reason }) => reason === 'Tested');
    const counts = tested.map(({ series }) => series?.count ?? 1);
    assert.deepEqual(
      counts.toSorted((a, b) => a - b),
      [1, 2],
    );
  });

  it('answers who may do what', async () => {
    const question = { verb: 'list', group: '', resource: 'secrets', namespace: NAMESPACE };
    assert.equal((await reviewAccess(client, { user: 'nobody', ...question })).allowed, false);
    const admin = { user: 'root', groups: ['system:masters'], ...question };
    assert.equal((await reviewAccess(client, admin)).allowed, true);
  });

  it('follows, through an expired version, and ends', async () => {
    const abort = new AbortController();
    const log: string[] = [];
    const errors: unknown[] = [];
    let firstWatch = true;
    const listWatch = new ListWatch<Widget>({
      resource: {
        type: TYPE,
        list: (options) => widgets.list(options),
        // The oldest version there is: compacted on any server that has run for some minutes, and too old for its cache.
        watch: (options) => {
          const resourceVersion = firstWatch ? '1' : options.resourceVersion;
          firstWatch = false;
          return widgets.watch({ ...options, resourceVersion });
        },
      },
      namespace: NAMESPACE,
      labelSelector: 'x=followed',
      onError: (error) => errors.push(error),
    });
    listWatch.onChange((key, old, current) =>
      log.push(`${key.split('/')[1]} ${old?.spec.size ?? '-'} ${current?.spec.size ?? '-'}`),
    );
    const running = listWatch.run(abort.signal);
    await listWatch.synced(abort.signal);
    await until('the second list', () => listWatch.counters.lists === 2);
    const { metadata } = await widgets.create(own('f', { size: 1 }, { x: 'followed' }));
    await widgets.mergePatch(metadata, { spec: { size: 2 } });
    await widgets.mergePatch(metadata, { metadata: { labels: { x: null } } });
    await until('three events', () => log.length === 3);
    assert.deepEqual(log, ['f - 1', 'f 1 2', 'f 2 -']);
    assert.deepEqual([listWatch.counters.relists, errors.length], [1, 1]);
    abort.abort();
    await running;
  });
});

async function untilAsync(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await condition()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`not in time: ${what}`);
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => assert.fail('nothing was thrown'),
    (error: unknown) => error,
  );
}
