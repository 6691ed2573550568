// One HTTP request to the API server, with the credentials of a KubeConfig. Knows no Kubernetes object.
//
// The library is asked for credentials and certificates only. Its own request path builds a new connection
// pool for every call (KubeConfig.applySecurityAuthentication), so each request would pay a TLS handshake.
import http from 'node:http';
import https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { ApiError, errorFromAnswer, type RequestSubject } from './api-error.ts';
import { abortable, Deadline } from './deadline.ts';

const MAX_ANSWER_BYTES = 128 * 1024 * 1024;
/** Finds out within some 40 s that the other side vanished without a word. */
const TCP_KEEPALIVE_MILLIS = 30_000;

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** absolute, without query, already escaped */
  readonly path: string;
  readonly query?: URLSearchParams | undefined;
  readonly contentType?: string | undefined;
  readonly body?: string | undefined;
  readonly timeoutMillis: number;
  readonly signal?: AbortSignal | undefined;
  readonly subject: RequestSubject;
}

/** Whom the API server shall take us for (RBAC verb `impersonate`). */
export interface Impersonation {
  readonly user: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
}

export interface TransportOptions {
  readonly config: KubeConfig;
  readonly userAgent: string;
  readonly impersonation?: Impersonation | undefined;
}

/** An open answer, read piece by piece: a watch. */
export interface HttpStream {
  readonly chunks: AsyncIterable<Buffer>;
  /** Ends the request; allowed at any time, more than once. */
  close(): void;
}

type Agents = { readonly http: http.Agent; readonly https: https.Agent };

export class Transport {
  readonly #options: TransportOptions;
  readonly #agents: Agents;

  constructor(options: TransportOptions, agents?: Agents) {
    const keepAlive = { keepAlive: true, keepAliveMsecs: TCP_KEEPALIVE_MILLIS, maxFreeSockets: 8 };
    this.#options = options;
    this.#agents = agents ?? { http: new http.Agent(keepAlive), https: new https.Agent(keepAlive) };
  }

  /** The same connections and credentials, seen by the server as somebody else. */
  impersonating(impersonation: Impersonation): Transport {
    return new Transport({ ...this.#options, impersonation }, this.#agents);
  }

  /** Closes idle connections; running requests go on. */
  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /**
   * Sends and reads the whole answer.
   * @returns the answer's text, if its status says success
   * @throws ApiError for any other status, for no answer, and for none in time; the signal's reason when aborted
   */
  async send(request: HttpRequest): Promise<string> {
    try {
      return await this.#sendOnce(request);
    } catch (error) {
      // The server may close a kept connection just when we use it; nothing was answered, a read may go again.
      if (request.method === 'GET' && error instanceof StaleConnection) {
        return await this.#sendOnce(request);
      }
      throw error instanceof StaleConnection ? error.error : error;
    }
  }

  async #sendOnce(request: HttpRequest): Promise<string> {
    using deadline = new Deadline(request.timeoutMillis, request.signal);
    try {
      const answer = await this.#open(request, deadline.signal);
      return await readAnswer(request, answer);
    } catch (error) {
      throw explain(request, deadline, error);
    }
  }

  /**
   * Sends and returns as soon as the answer begins. The time limit covers only that; afterwards
   * the caller watches over the stream and ends it by `request.signal` or `close`.
   * @throws as `send`
   */
  async stream(request: HttpRequest): Promise<HttpStream> {
    const deadline = new Deadline(request.timeoutMillis, request.signal);
    try {
      const answer = await this.#open(request, deadline.signal);
      if (!succeeded(answer)) {
        await readAnswer(request, answer);
      }
      deadline.stop();
      answer.once('close', () => deadline[Symbol.dispose]());
      // A connection that breaks before the caller begins to read must not end the process; the read tells it.
      answer.on('error', () => undefined);
      return { chunks: chunksOf(request, answer), close: () => void answer.destroy() };
    } catch (error) {
      deadline[Symbol.dispose]();
      const explained = explain(request, deadline, error);
      throw explained instanceof StaleConnection ? explained.error : explained;
    }
  }

  async #open(request: HttpRequest, signal: AbortSignal): Promise<http.IncomingMessage> {
    const options = await abortable(this.#requestOptions(request, signal), signal);
    const issue = options.protocol === 'http:' ? http.request : https.request;
    return await new Promise((resolve, reject) => {
      const outgoing = issue(options, resolve);
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const stale = outgoing.reusedSocket && error.code === 'ECONNRESET';
        reject(stale ? new StaleConnection(connectionFailed(request, error)) : error);
      });
      outgoing.end(request.body);
    });
  }

  async #requestOptions(request: HttpRequest, signal: AbortSignal): Promise<https.RequestOptions> {
    const { config, userAgent, impersonation } = this.#options;
    const cluster = config.getCurrentCluster();
    if (cluster === null) {
      throw new Error('the kubeconfig names no cluster; load one with loadKubeConfig');
    }
    const options: https.RequestOptions = { headers: {} };
    // Reads token and certificate files again when they are due, runs exec plugins.
    await config.applyToHTTPSOptions(options);
    const server = new URL(cluster.server);
    const secure = server.protocol === 'https:';
    if (cluster.proxyUrl === undefined || cluster.proxyUrl === '') {
      // The library's agent would pin the first certificates it saw; per-request options follow a rotation.
      options.agent = secure ? this.#agents.https : this.#agents.http;
    }
    const query = request.query === undefined ? '' : `?${request.query.toString()}`;
    options.protocol = server.protocol;
    options.hostname = server.hostname.replace(/^\[|\]$/g, '');
    options.port = server.port === '' ? (secure ? 443 : 80) : server.port;
    options.path = server.pathname.replace(/\/$/, '') + request.path + query;
    options.method = request.method;
    options.signal = signal;
    options.headers = headersFor(request, options.headers, userAgent, impersonation);
    return options;
  }
}

/** A kept connection turned out to be closed before anything was answered. */
class StaleConnection extends Error {
  readonly error: ApiError;

  constructor(error: ApiError) {
    super(error.message);
    this.error = error;
  }
}

function headersFor(
  request: HttpRequest,
  credentials: https.RequestOptions['headers'],
  userAgent: string,
  impersonation: Impersonation | undefined,
): http.OutgoingHttpHeaders {
  const headers: http.OutgoingHttpHeaders = {
    ...(credentials as http.OutgoingHttpHeaders | undefined),
    accept: 'application/json',
    'user-agent': userAgent,
  };
  const authorization = headers['Authorization'];
  if (typeof authorization === 'string') {
    // A token file may end with a newline, which no header may hold.
    headers['Authorization'] = authorization.trim();
  }
  if (request.body !== undefined) {
    headers['content-type'] = request.contentType ?? 'application/json';
    headers['content-length'] = Buffer.byteLength(request.body);
  }
  if (impersonation !== undefined) {
    headers['Impersonate-User'] = impersonation.user;
    if (impersonation.groups !== undefined) {
      headers['Impersonate-Group'] = [...impersonation.groups];
    }
    if (impersonation.uid !== undefined) {
      headers['Impersonate-Uid'] = impersonation.uid;
    }
  }
  return headers;
}

function succeeded(answer: http.IncomingMessage): boolean {
  const status = answer.statusCode ?? 0;
  return status >= 200 && status < 300;
}

/** Leaving the loop over it, in whatever way, ends the request. */
async function* chunksOf(
  request: HttpRequest,
  answer: http.IncomingMessage,
): AsyncGenerator<Buffer, void> {
  try {
    yield* answer as AsyncIterable<Buffer>;
  } catch (error) {
    throw request.signal?.aborted === true
      ? (request.signal.reason as Error)
      : connectionFailed(request, error);
  }
}

async function readAnswer(request: HttpRequest, answer: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_ANSWER_BYTES) {
      throw new Error(`answer is larger than ${MAX_ANSWER_BYTES} bytes; ask for smaller pages`);
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (!succeeded(answer)) {
    const retryAfter = answer.headers['retry-after'];
    throw errorFromAnswer(request.subject, answer.statusCode ?? 0, text, retryAfter);
  }
  return text;
}

function explain(request: HttpRequest, deadline: Deadline, error: unknown): Error {
  if (error instanceof ApiError || error instanceof StaleConnection) {
    return error;
  }
  if (deadline.expired) {
    return new ApiError({
      ...request.subject,
      status: 0,
      reason: 'TimedOut',
      detail: `no answer from the API server within ${request.timeoutMillis} ms`,
      cause: error,
    });
  }
  if (request.signal?.aborted === true) {
    return request.signal.reason as Error;
  }
  return connectionFailed(request, error);
}

function connectionFailed(request: HttpRequest, error: unknown): ApiError {
  return new ApiError({
    ...request.subject,
    status: 0,
    reason: 'ConnectionFailed',
    detail: `${errorText(error)}; is the API server up and the kubeconfig right?`,
    cause: error,
  });
}

/** An AggregateError (every address refused) has an empty message of its own. */
function errorText(error: unknown): string {
  if (error instanceof AggregateError) {
    return error.errors.map(errorText).join(', ');
  }
  return error instanceof Error && error.message !== '' ? error.message : String(error);
}
