import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EVENTS, EventRecorder, type KubeEvent, type Occurrence, referenceTo } from './events.ts';
import type { FakeKind } from './testing/fake-store.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';

const KIND: FakeKind = { ...EVENTS, kind: 'Event', statusSubresource: false };

let server: FakeApiServer;
let clock: FakeClock;
let abort: AbortController;
let recorder: EventRecorder;
let running: Promise<void>;
let errors: unknown[];

beforeEach(async () => {
  server = await FakeApiServer.start({ kinds: [KIND] });
  clock = new FakeClock();
  abort = new AbortController();
  errors = [];
  recorder = new EventRecorder({
    events: server.client().resource<KubeEvent>(EVENTS),
    reportingController: 'test.dev/controller',
    reportingInstance: 'controller-0',
    clock,
    onError: (error) => errors.push(error),
  });
  running = recorder.run(abort.signal);
});

afterEach(async () => {
  abort.abort();
  await running;
  await server.close();
});

const stored = () => server.all<KubeEvent>(EVENTS);

function happened(note = 'it broke', extra: Partial<Occurrence> = {}): Occurrence {
  return {
    regarding: referenceTo(widget('a', {}, { uid: 'u1' })),
    type: 'Warning',
    reason: 'Broken',
    action: 'Saving',
    note,
    ...extra,
  };
}

it('writes what happened, about what, by whom', async () => {
  const related = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'p' };
  recorder.record(happened('it broke', { related }));
  await until('the event', () => stored().length === 1);
  const { metadata, ...rest } = stored()[0] as KubeEvent;
  assert.match(metadata.name, /^a\.[0-9a-f]+$/);
  assert.equal(metadata.namespace, 'default');
  assert.deepEqual(rest, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    eventTime: '2030-01-01T00:00:00.000000Z',
    regarding: {
      apiVersion: 'test.dev/v1',
      kind: 'Widget',
      namespace: 'default',
      name: 'a',
      uid: 'u1',
    },
    related,
    type: 'Warning',
    reason: 'Broken',
    action: 'Saving',
    note: 'it broke',
    reportingController: 'test.dev/controller',
    reportingInstance: 'controller-0',
  });
});

it('events of cluster-scoped objects go to the default namespace', async () => {
  const regarding = { apiVersion: 'v1', kind: 'Node', name: 'n1' };
  recorder.record(happened('x', { regarding }));
  await until('the event', () => stored().length === 1);
  assert.equal(stored()[0]?.metadata.namespace, 'default');
});

it('cuts a note that is too long between characters', async () => {
  recorder.record(happened('ä'.repeat(2000)));
  await until('the event', () => stored().length === 1);
  const note = stored()[0]?.note ?? '';
  assert.ok(Buffer.byteLength(note) <= 1024);
  assert.match(note, /^ä{510}\.\.\.$/);
});

describe('series', () => {
  it('repetitions become one event, written now and then', async () => {
    recorder.record(happened());
    await until('the event', () => recorder.counters.written === 1);
    for (let i = 0; i < 50; i++) {
      recorder.record(happened());
    }
    recorder.record(happened('something else'));
    await until('the other event', () => stored().length === 2);
    const first = () => stored().find(({ note }) => note === 'it broke');
    assert.equal(first()?.series, undefined);
    await until('the recorder rests', () => clock.timers === 1);
    await clock.advance(10_000);
    await until('the series', () => first()?.series !== undefined);
    assert.deepEqual(first()?.series, {
      count: 51,
      lastObservedTime: '2030-01-01T00:00:00.000000Z',
    });
    assert.equal(recorder.counters.written, 3);
  });

  it('after a long pause a new event begins', async () => {
    recorder.record(happened());
    await until('the event', () => stored().length === 1);
    await clock.advance(6 * 60_000);
    recorder.record(happened());
    await until('the second', () => stored().length === 2);
    assert.ok(stored().every(({ series }) => series === undefined));
  });

  it('a series whose event has expired on the server begins anew', async () => {
    recorder.record(happened());
    await until('the event', () => recorder.counters.written === 1);
    const [event] = stored();
    await server
      .client()
      .resource(EVENTS)
      .delete(event?.metadata ?? { name: '' });
    recorder.record(happened());
    await until('the recorder rests', () => clock.timers === 1);
    await clock.advance(10_000);
    await until('the new event', () => stored().length === 1);
    assert.notEqual(stored()[0]?.metadata.name, event?.metadata.name);
    assert.equal(stored()[0]?.series?.count, 2);
  });
});

describe('best effort', () => {
  it('tries again when the server is busy, without a second event', async () => {
    server.faults.add({ verb: 'create', action: { type: 'status', code: 503 } });
    server.faults.add({ verb: 'create', action: { type: 'drop', when: 'after' } });
    recorder.record(happened());
    await until('the first failure', () => errors.length === 1);
    await until('the recorder waits', () => clock.timers === 1);
    await clock.advance(1_000);
    await until('the second failure', () => errors.length === 2);
    await until('the recorder waits', () => clock.timers === 1);
    await clock.advance(2_000);
    await until('success', () => recorder.counters.written === 1);
    assert.deepEqual([stored().length, recorder.counters.dropped], [1, 0]);
  });

  it('drops what the server refuses, and goes on', async () => {
    server.faults.add({ verb: 'create', action: { type: 'status', code: 403 } });
    recorder.record(happened('refused'));
    await until('it is dropped', () => recorder.counters.dropped === 1);
    recorder.record(happened('accepted'));
    await until('the next', () => stored().length === 1);
    assert.equal(stored()[0]?.note, 'accepted');
  });

  it('is bounded', async () => {
    server.faults.add({ verb: 'create', action: { type: 'hang' } });
    recorder.record(happened('first'));
    await until('the recorder is busy', () => server.requests.length === 1);
    for (let i = 0; i < 1500; i++) {
      recorder.record(happened(`note ${i}`));
    }
    assert.equal(recorder.counters.dropped, 501);
  });

  it('writes what is left when told to stop', async () => {
    recorder.record(happened('one'));
    recorder.record(happened('two'));
    abort.abort();
    await running;
    assert.deepEqual(stored().length, 2);
  });
});
