// A small API server in memory, over plain http on a loopback port, for tests of controllers and of this folder.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeConfig } from '@kubernetes/client-node';
import type { TypedObject } from '../../crds/meta.ts';
import { Client, type ClientOptions } from '../client.ts';
import { plainKubeConfig } from '../kubeconfig.ts';
import type { ObjectRef } from '../keys.ts';
import type { ResourceType } from '../resource-types.ts';
import { FakeHandler } from './fake-handler.ts';
import { type FakeKind, FakeStore, Refusal } from './fake-store.ts';
import { FakeWatches } from './fake-watches.ts';
import { Faults } from './faults.ts';
import type { JsonObject } from './json.ts';
import { parseTarget, type Target } from './request-target.ts';

export interface FakeApiServerOptions {
  readonly kinds: readonly FakeKind[];
  /** wall clock for timestamps */
  readonly now?: () => number;
}

/** What came in, for assertions. */
export interface SeenRequest {
  readonly verb: string;
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  /** tells connections apart */
  readonly remotePort: number | undefined;
}

export class FakeApiServer {
  readonly faults = new Faults();
  readonly watches: FakeWatches;
  readonly requests: SeenRequest[] = [];
  /** what is answered as it stands, by path: `/version`, a pod's log, with `?previous` that of before its restart */
  readonly texts = new Map<string, string>([['/readyz', 'ok']]);
  /** who follows such a text, by path */
  readonly #followers = new Map<string, Set<ServerResponse>>();
  readonly #kinds: readonly FakeKind[];
  readonly #store: FakeStore;
  readonly #handler: FakeHandler;
  readonly #server: Server;
  #port = 0;

  private constructor(options: FakeApiServerOptions) {
    this.#kinds = options.kinds;
    this.#store = new FakeStore(options.now ?? Date.now);
    this.watches = new FakeWatches(this.#store);
    this.#handler = new FakeHandler(this.#store, this.watches);
    this.#server = createServer((request, answer) => {
      this.#serve(request, answer).catch((error: unknown) => refuse(answer, error));
    });
  }

  static async start(options: FakeApiServerOptions): Promise<FakeApiServer> {
    const server = new FakeApiServer(options);
    await server.open();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  config(): KubeConfig {
    return plainKubeConfig(this.url);
  }

  client(options: Partial<ClientOptions> = {}): Client {
    return new Client({ config: this.config(), fieldManager: 'test', ...options });
  }

  /** Starts to listen; after `close`, again on the same port. */
  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection and refuses new ones; what is stored stays. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Forgets the history, so that older watches and continue tokens answer 410. */
  expireHistory(): void {
    this.#store.expireHistory();
  }

  /** Creates an object with its status, as if it had always been there. */
  seed<T extends TypedObject>(type: ResourceType, object: T): T {
    const kind = this.#kind(type);
    const given = object as unknown as JsonObject;
    const { namespace, name } = object.metadata;
    const by = { manager: 'seed' };
    const created = this.#store.create(kind, namespace, given, by);
    if (given['status'] === undefined || kind.statusSubresource === false) {
      return created as unknown as T;
    }
    const write = { ...by, subresource: 'status' };
    return this.#store.write(kind, { namespace, name }, write, (old) => ({
      ...old,
      status: given['status'],
    })) as unknown as T;
  }

  /** The object as stored, or undefined. */
  peek<T extends TypedObject>(type: ResourceType, ref: ObjectRef): T | undefined {
    const place = { namespace: ref.namespace, name: ref.name };
    const kind = this.#kind(type);
    return this.#store.has(kind, place)
      ? (this.#store.get(kind, place) as unknown as T)
      : undefined;
  }

  /** All objects of a kind as stored. */
  all<T extends TypedObject>(type: ResourceType): readonly T[] {
    return this.#store.list(this.#kind(type)) as unknown as readonly T[];
  }

  #kind(type: ResourceType): FakeKind {
    const found = this.#kinds.find(
      ({ group, plural }) => group === type.group && plural === type.plural,
    );
    if (found === undefined) {
      throw new Error(`the test server was not told of ${type.plural}.${type.group}`);
    }
    return found;
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const previous = url.searchParams.has('previous') ? '?previous' : '';
    const text = this.texts.get(`${url.pathname}${previous}`);
    if (text !== undefined) {
      this.#tell(url, text, answer);
      return;
    }
    const target = parseTarget(request, url, this.#kinds);
    const body = await readBody(request);
    const { headers, socket } = request;
    const { remotePort } = socket;
    this.requests.push({ ...target, plural: target.kind.plural, headers, body, remotePort });
    const fault = this.faults.take({ ...target, plural: target.kind.plural });
    switch (fault?.type) {
      case 'status':
        if (fault.retryAfterSeconds !== undefined) {
          answer.setHeader('retry-after', fault.retryAfterSeconds);
        }
        throw new Refusal(fault.code, '', fault.message ?? `injected ${fault.code}`);
      case 'hang':
        return;
      case 'drop':
        if (fault.when === 'after') {
          this.#handler.handle(target, body);
        }
        request.socket.destroy();
        return;
      case 'wait':
        await fault.until;
        break;
      case 'stale':
      case 'garbage':
      case undefined:
        break;
    }
    this.#answer({ ...target, body }, answer, fault);
  }

  /** Adds to a text; who follows it gets it at once. */
  appendText(path: string, text: string): void {
    this.texts.set(path, `${this.texts.get(path) ?? ''}${text}`);
    this.#followers.get(path)?.forEach((answer) => answer.write(text));
  }

  /** Breaks the connections of all who follow a text. @returns how many */
  cutFollowers(path: string): number {
    const followers = [...(this.#followers.get(path) ?? [])];
    followers.forEach((answer) => answer.destroy());
    return followers.length;
  }

  /** The whole text, whatever else the query asks for. */
  #tell({ pathname, searchParams }: URL, text: string, answer: ServerResponse): void {
    if (searchParams.get('follow') !== 'true') {
      answer.end(text);
      return;
    }
    answer.write(text);
    const followers = this.#followers.get(pathname) ?? new Set();
    this.#followers.set(pathname, followers.add(answer));
    answer.on('close', () => followers.delete(answer));
  }

  #answer(
    target: Target & { readonly body: unknown },
    answer: ServerResponse,
    fault: { readonly type: string; readonly text?: string } | undefined,
  ): void {
    if (target.verb === 'watch') {
      this.#handler.watch(target, answer, fault?.type === 'stale');
      if (fault?.text !== undefined) {
        answer.write(fault.text);
      }
      return;
    }
    const result = this.#handler.handle(target, target.body);
    answer.writeHead(target.verb === 'create' ? 201 : 200, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(result));
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function refuse(answer: ServerResponse, error: unknown): void {
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal(500, 'InternalError', error instanceof Error ? error.message : String(error));
  if (answer.headersSent) {
    answer.destroy();
    return;
  }
  answer.writeHead(refusal.status, { 'content-type': 'application/json' });
  answer.end(
    JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code: refusal.status,
      reason: refusal.reason,
      message: refusal.message,
    }),
  );
}
