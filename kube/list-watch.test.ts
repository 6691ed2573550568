import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isForbidden } from './api-error.ts';
import type { Client } from './client.ts';
import { ListWatch, type ListWatchOptions } from './list-watch.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { WIDGETS, type Widget, widget } from './testing/kinds.ts';
import { until } from './testing/until.ts';

let server: FakeApiServer;
let client: Client;
let abort: AbortController;
let running: Promise<void>[];

beforeEach(async () => {
  server = await FakeApiServer.start({ kinds: [WIDGETS] });
  client = server.client();
  abort = new AbortController();
  running = [];
});

afterEach(async () => {
  abort.abort();
  await Promise.all(running);
  client.close();
  await server.close();
});

interface Started {
  readonly listWatch: ListWatch<Widget>;
  readonly log: string[];
  readonly errors: unknown[];
}

async function start(options: Partial<ListWatchOptions<Widget>> = {}): Promise<Started> {
  const started = begin(options);
  await started.listWatch.synced(abort.signal);
  await until('watching', () => server.watches.count() === 1);
  return started;
}

function begin(options: Partial<ListWatchOptions<Widget>> = {}): Started {
  const log: string[] = [];
  const errors: unknown[] = [];
  const listWatch = new ListWatch<Widget>({
    resource: client.resource<Widget>(WIDGETS),
    backoff: { baseMillis: 5, maxMillis: 20 },
    onError: (error) => errors.push(error),
    ...options,
  });
  listWatch.onChange((key, old, current) => {
    log.push(`${key} ${old?.spec.size ?? '-'} ${current?.spec.size ?? '-'}`);
  });
  running.push(listWatch.run(abort.signal));
  return { listWatch, log, errors };
}

const widgets = () => client.resource<Widget>(WIDGETS);
const ref = (name: string) => ({ namespace: 'default', name });

describe('the picture', () => {
  it('lists, then follows', async () => {
    server.seed(WIDGETS, widget('a', { size: 1 }));
    server.seed(WIDGETS, widget('b', { size: 2 }));
    const { listWatch, log } = await start({ pageSize: 1 });
    assert.ok(listWatch.hasSynced);
    await widgets().mergePatch(ref('a'), { spec: { size: 3 } });
    await widgets().delete(ref('b'));
    await widgets().create(widget('c', { size: 4 }));
    await until('all events', () => log.length === 5);
    assert.deepEqual(log, [
      'default/a - 1',
      'default/b - 2',
      'default/a 1 3',
      'default/b 2 -',
      'default/c - 4',
    ]);
    assert.deepEqual(listWatch.keys(), ['default/a', 'default/c']);
    assert.equal(listWatch.get('default/a')?.spec.size, 3);
    assert.equal(listWatch.counters.objects, 2);
    assert.ok(listWatch.counters.lastEventAt > 0);
  });

  it('asks for bookmarks and a random time limit', async () => {
    await start({ random: () => 0.5 });
    const watch = server.requests.find(({ verb }) => verb === 'watch');
    assert.equal(watch?.query.get('allowWatchBookmarks'), 'true');
    assert.equal(watch?.query.get('timeoutSeconds'), '270');
  });

  it('drops managed fields and what trim drops', async () => {
    server.seed(WIDGETS, widget('a', { size: 1, color: 'red' }));
    const { listWatch } = await start({
      trim: (object) => ({ ...object, spec: { size: object.spec.size ?? 0 } }),
    });
    assert.deepEqual(listWatch.get('default/a')?.spec, { size: 1 });
    assert.ok(!('managedFields' in (listWatch.get('default/a')?.metadata ?? {})));
  });

  it('tells a late handler what is known', async () => {
    server.seed(WIDGETS, widget('a', { size: 1 }));
    const { listWatch } = await start();
    const late: string[] = [];
    listWatch.onChange((key, old) => late.push(`${key} ${old === undefined}`));
    assert.deepEqual(late, ['default/a true']);
  });

  it('sees only what is selected, and sees it leave', async () => {
    server.seed(WIDGETS, widget('a', { size: 1, nodeName: 'n1' }));
    server.seed(WIDGETS, widget('b', { size: 2, nodeName: 'n2' }));
    const { log } = await start({ fieldSelector: 'spec.nodeName=n1' });
    await widgets().mergePatch(ref('b'), { spec: { nodeName: 'n1' } });
    await widgets().mergePatch(ref('a'), { spec: { nodeName: 'n2' } });
    await until('both moves', () => log.length === 3);
    assert.deepEqual(log, ['default/a - 1', 'default/b - 2', 'default/a 1 -']);
  });

  it('one handler that throws does not stop the others', async () => {
    const { listWatch, log } = await start();
    const seen: string[] = [];
    listWatch.onChange(() => {
      throw new Error('bad handler');
    });
    listWatch.onChange((key) => seen.push(key));
    await widgets().create(widget('a', { size: 1 }));
    await until('the last handler', () => seen.length === 1);
    assert.equal(log.length, 1);
    assert.equal(listWatch.counters.handlerErrors, 1);
  });
});

describe('going on', () => {
  it('continues from where it was when the connection breaks, without a list', async () => {
    const { listWatch, log } = await start();
    server.faults.add({ verb: 'watch', action: { type: 'status', code: 500 } });
    server.watches.end('abruptly');
    await widgets().create(widget('a', { size: 1 }));
    await until('the missed event', () => log.length === 1);
    assert.equal(listWatch.counters.lists, 1);
    assert.equal(listWatch.counters.failures, 2);
    assert.equal(listWatch.counters.watchRestarts, 2);
  });

  it('continues at once when the server ends the watch', async () => {
    const { listWatch, log, errors } = await start();
    await widgets().create(widget('a', { size: 1 }));
    await until('the event', () => log.length === 1);
    server.watches.end('politely');
    await until('a second watch', () => listWatch.counters.watchRestarts === 1);
    assert.deepEqual(errors, []);
  });

  it('a bookmark moves it on, so that an expired history does not matter', async () => {
    server.seed(WIDGETS, widget('a', { size: 1 }));
    const { listWatch } = await start({ labelSelector: 'app=mine' });
    await widgets().mergePatch(ref('a'), { spec: { size: 2 } });
    server.watches.bookmark();
    await until('the bookmark', () => listWatch.counters.events === 1);
    server.expireHistory();
    server.watches.end('politely');
    await until('a second watch', () => server.watches.count() === 1);
    assert.equal(listWatch.counters.relists, 0);
  });

  it('lists again after 410 as an event, and tells what changed meanwhile', async () => {
    server.seed(WIDGETS, widget('a', { size: 1 }));
    const gone = server.seed(WIDGETS, widget('b', { size: 2 }));
    const { listWatch, log } = await start();
    const changed = Promise.withResolvers<void>();
    server.faults.add({ verb: 'watch', action: { type: 'wait', until: changed.promise } });
    server.watches.end('abruptly');
    await until('the end of the watch', () => server.watches.count() === 0);
    await widgets().delete(gone.metadata);
    await widgets().mergePatch(ref('a'), { spec: { size: 3 } });
    server.expireHistory();
    changed.resolve();
    await until('the new list', () => listWatch.counters.lists === 2);
    assert.equal(listWatch.counters.relists, 1);
    assert.deepEqual(log.slice(2), ['default/b 2 -', 'default/a 1 3']);
  });

  it('lists again after 410 as an answer', async () => {
    const { listWatch } = await start();
    server.faults.add({ verb: 'watch', action: { type: 'status', code: 410 } });
    server.watches.end('abruptly');
    await until('the new list', () => listWatch.counters.lists === 2);
    await until('the new watch', () => server.watches.count() === 1);
  });

  it('an object that was replaced by another of the same name is gone, then new', async () => {
    const old = server.seed(WIDGETS, widget('a', { size: 1 }));
    const { listWatch, log } = await start();
    const changed = Promise.withResolvers<void>();
    server.faults.add({ verb: 'watch', action: { type: 'wait', until: changed.promise } });
    server.watches.end('abruptly');
    await until('the end of the watch', () => server.watches.count() === 0);
    await widgets().delete(old.metadata);
    await widgets().create(widget('a', { size: 5 }));
    server.expireHistory();
    changed.resolve();
    await until('the new list', () => listWatch.counters.lists === 2);
    assert.deepEqual(log, ['default/a - 1', 'default/a 1 -', 'default/a - 5']);
  });

  it('gives up a watch that has fallen silent', async () => {
    server.faults.add({ verb: 'watch', action: { type: 'stale' } });
    const { listWatch, log, errors } = await start({ inactivityMillis: 200 });
    await widgets().create(widget('a', { size: 1 }));
    await until('the event that the stale watch kept back', () => log.length === 1);
    assert.ok(listWatch.counters.silentWatches >= 1);
    assert.deepEqual(errors, []);
  });

  it('stays with a watch as long as anything comes, be it bookmarks', async () => {
    const clock = new FakeClock();
    const { listWatch } = begin({ clock, inactivityMillis: 1000 });
    await until('watching', () => server.watches.count() === 1);
    for (let events = 1; events <= 4; events++) {
      await clock.advance(900);
      server.watches.bookmark();
      await until('the bookmark', () => listWatch.counters.events === events);
    }
    assert.equal(listWatch.counters.silentWatches, 0);
    await clock.advance(1000);
    await until('the end of its patience', () => listWatch.counters.silentWatches === 1);
  });

  it('does not list in a circle when every version is too old', async () => {
    server.faults.add({ verb: 'watch', times: 1000, action: { type: 'status', code: 410 } });
    const clock = new FakeClock();
    const { listWatch } = begin({ clock, backoff: { baseMillis: 60_000, maxMillis: 60_000 } });
    await until('it waits', () => clock.timers === 1 && listWatch.counters.failures === 2);
    assert.deepEqual([listWatch.counters.lists, listWatch.counters.relists], [2, 2]);
  });

  it('survives nonsense, and distrusts its version after three refusals', async () => {
    const { listWatch, log } = await start();
    server.faults.add({ verb: 'watch', action: { type: 'garbage', text: '{"type": "AD\n' } });
    server.faults.add({ verb: 'watch', times: 2, action: { type: 'status', code: 400 } });
    server.watches.end('abruptly');
    await until('the new list', () => listWatch.counters.lists === 2);
    await widgets().create(widget('a', { size: 1 }));
    await until('the event', () => log.length === 1);
  });

  it('an event without an object of ours is a failure, not the end', async () => {
    const { listWatch, log, errors } = await start({ maxLineBytes: 4096 });
    const huge = `${JSON.stringify({ type: 'ADDED', object: 'x'.repeat(10_000) })}\n`;
    server.faults.add({ verb: 'watch', action: { type: 'garbage', text: huge } });
    server.faults.add({ verb: 'watch', action: { type: 'garbage', text: '{"type":"ADDED"}\n' } });
    server.watches.end('abruptly');
    await until('three failures', () => listWatch.counters.failures === 3);
    await widgets().create(widget('a', { size: 1 }));
    await until('the event', () => log.length === 1);
    assert.match(String(errors[1]), /longer than 4096 bytes/);
  });

  it('waits as long as the server asks', async () => {
    const clock = new FakeClock();
    server.faults.add({
      verb: 'list',
      action: { type: 'status', code: 429, retryAfterSeconds: 60 },
    });
    const { listWatch } = begin({ clock });
    await until('the answer', () => clock.timers === 1);
    await clock.advance(59_000);
    assert.equal(server.requests.length, 1);
    await clock.advance(1_000);
    await listWatch.synced(abort.signal);
  });

  it('comes back after the server was away', async () => {
    const { listWatch, log } = await start();
    await server.close();
    await until('some failures', () => listWatch.counters.failures >= 3);
    await server.open();
    await widgets().create(widget('a', { size: 1 }));
    await until('the event', () => log.length === 1);
    assert.equal(listWatch.counters.lists, 1);
  });

  it('keeps trying a list that is forbidden', async () => {
    server.faults.add({ verb: 'list', times: 3, action: { type: 'status', code: 403 } });
    const { listWatch, errors } = await start();
    assert.equal(errors.length, 3);
    assert.ok(errors.every(isForbidden));
    assert.equal(listWatch.counters.lists, 1);
  });

  it('does not spin when watches end at once', async () => {
    const { listWatch } = await start({ backoff: { baseMillis: 60_000, maxMillis: 60_000 } });
    server.watches.end('politely');
    await until('the failure', () => listWatch.counters.failures === 1);
    assert.equal(server.requests.filter(({ verb }) => verb === 'watch').length, 1);
  });
});

describe('the end', () => {
  it('stops and closes its watch', async () => {
    await start();
    abort.abort();
    await Promise.all(running);
    await until('the watch is closed', () => server.watches.count() === 0);
  });

  it('whoever waits for the first list learns of the end', async () => {
    server.faults.add({ verb: 'list', times: 1000, action: { type: 'status', code: 500 } });
    const { listWatch } = begin();
    const waiting = assert.rejects(listWatch.synced(abort.signal), /stop now/);
    abort.abort(new Error('stop now'));
    await waiting;
    await Promise.all(running);
    assert.ok(!listWatch.hasSynced);
  });
});
