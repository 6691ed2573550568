// The test server's open watches: history first, then what happens, with selectors, bookmarks and silence.
import type { ServerResponse } from 'node:http';
import type { FakeKind, FakeStore, StoredEvent } from './fake-store.ts';
import type { JsonObject } from './json.ts';
import type { Selector } from './selectors.ts';

export interface WatchRequest {
  readonly kind: FakeKind;
  readonly selects: Selector;
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
  readonly bookmarks: boolean;
  /** opened by a fault: says nothing, ever */
  readonly stale: boolean;
}

interface OpenWatch extends WatchRequest {
  readonly answer: ServerResponse;
}

export class FakeWatches {
  readonly #store: FakeStore;
  readonly #open = new Set<OpenWatch>();

  constructor(store: FakeStore) {
    this.#store = store;
    store.subscribe((event) => {
      this.#open.forEach((watch) => this.#send(watch, event));
    });
  }

  /** of one kind, or all */
  count(plural?: string): number {
    return [...this.#open].filter(({ kind }) => plural === undefined || kind.plural === plural)
      .length;
  }

  /** Begins to answer a watch request. */
  begin(request: WatchRequest, answer: ServerResponse): void {
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.flushHeaders();
    const watch = { ...request, answer };
    const from = Number(request.resourceVersion === '' ? '0' : request.resourceVersion);
    if (from !== 0 && this.#store.isExpired(from)) {
      write(answer, 'ERROR', gone(from));
      answer.end();
      return;
    }
    if (from === 0) {
      this.#store
        .list(request.kind)
        .filter(request.selects)
        .forEach((object) => write(answer, 'ADDED', object));
    } else {
      this.#store.since(request.kind, from).forEach((event) => this.#send(watch, event));
    }
    this.#open.add(watch);
    const timer = setTimeout(() => answer.end(), request.timeoutSeconds * 1000);
    answer.once('close', () => {
      clearTimeout(timer);
      this.#open.delete(watch);
    });
  }

  /** Tells every watch that asked for bookmarks the newest version. */
  bookmark(): void {
    for (const { kind, bookmarks, stale, answer } of this.#open) {
      if (bookmarks && !stale) {
        const metadata = { resourceVersion: String(this.#store.version) };
        write(answer, 'BOOKMARK', { kind: kind.kind, metadata });
      }
    }
  }

  /** Ends every watch: `politely` as after its time-out, else by cutting the connection. */
  end(how: 'politely' | 'abruptly'): void {
    for (const { answer } of this.#open) {
      if (how === 'politely') {
        answer.end();
      } else {
        answer.destroy();
      }
    }
  }

  /** Sends every watch an ERROR event, by default the 410 of a compacted history, and ends it. */
  fail(status: JsonObject = gone(0)): void {
    for (const { answer } of this.#open) {
      write(answer, 'ERROR', status);
      answer.end();
    }
  }

  #send(watch: OpenWatch, event: StoredEvent): void {
    if (watch.stale || event.kind !== watch.kind) {
      return;
    }
    const selected = watch.selects(event.object);
    const wasSelected = event.previous !== undefined && watch.selects(event.previous);
    if (event.type === 'DELETED') {
      if (wasSelected) {
        write(watch.answer, 'DELETED', event.object);
      }
    } else if (selected) {
      write(watch.answer, wasSelected ? 'MODIFIED' : 'ADDED', event.object);
    } else if (wasSelected) {
      write(watch.answer, 'DELETED', event.object);
    }
  }
}

function write(answer: ServerResponse, type: string, object: unknown): void {
  answer.write(`${JSON.stringify({ type, object })}\n`);
}

function gone(version: number): JsonObject {
  const message = `too old resource version: ${version}`;
  return { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message };
}
