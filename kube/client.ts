// The API server as this project sees it: `client.resource(type)` for each kind, plus raw reads.
import type { KubeConfig } from '@kubernetes/client-node';
import type { TypedObject } from '../crds/meta.ts';
import { Resource } from './resource.ts';
import type { CallOptions, ResourceType } from './resource-types.ts';
import { type HttpRequest, type HttpStream, type Impersonation, Transport } from './transport.ts';

const DEFAULT_TIMEOUT_MILLIS = 30_000;

export interface ClientOptions {
  readonly config: KubeConfig;
  /** owner of the fields we write: one name for each component (design K3) */
  readonly fieldManager: string;
  /** default: `diapause/<fieldManager>` */
  readonly userAgent?: string;
  /** for every request that says nothing else; default 30 s */
  readonly timeoutMillis?: number;
  readonly as?: Impersonation;
}

export class Client {
  readonly #options: ClientOptions;
  readonly #transport: Transport;
  readonly #fieldManager: string;
  readonly #timeoutMillis: number;

  constructor(options: ClientOptions, transport?: Transport) {
    this.#options = options;
    this.#fieldManager = options.fieldManager;
    this.#timeoutMillis = options.timeoutMillis ?? DEFAULT_TIMEOUT_MILLIS;
    this.#transport =
      transport ??
      new Transport({
        config: options.config,
        userAgent: options.userAgent ?? `diapause/${options.fieldManager}`,
        impersonation: options.as,
      });
  }

  /**
   * A client over the same connections that acts as somebody else, for instance as the own node
   * (`system:node:<name>`), whose reads the API server confines to that node.
   */
  as(impersonation: Impersonation): Client {
    return new Client(this.#options, this.#transport.impersonating(impersonation));
  }

  resource<T extends TypedObject>(type: ResourceType): Resource<T> {
    return new Resource<T>(this.#transport, {
      type,
      fieldManager: this.#fieldManager,
      timeoutMillis: this.#timeoutMillis,
    });
  }

  /**
   * GET of any path, as text: `/readyz`, `/version`, a pod's log.
   * @param path absolute, escaped; may hold a query
   * @throws ApiError
   */
  async getText(path: string, options: CallOptions = {}): Promise<string> {
    return await this.#transport.send(this.#read(path, options));
  }

  /**
   * The same for a text that goes on: a log that is followed. The time limit is that for its beginning.
   * @throws ApiError
   */
  async streamText(path: string, options: CallOptions = {}): Promise<HttpStream> {
    return await this.#transport.stream(this.#read(path, options));
  }

  #read(path: string, { signal, timeoutMillis = this.#timeoutMillis }: CallOptions): HttpRequest {
    const [pathname = '', search] = path.split('?', 2);
    return {
      method: 'GET',
      path: pathname,
      query: search === undefined ? undefined : new URLSearchParams(search),
      signal,
      timeoutMillis,
      subject: { verb: 'get', resource: pathname },
    };
  }

  /** Closes idle connections, so that a process can end. Running requests go on. */
  close(): void {
    this.#transport.close();
  }
}
