// Health, readiness and metrics over HTTP. Nothing else is served, and nobody is asked who they are.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpSources {
  /** undefined: well; else what is wrong */
  ready(): string | undefined;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

const PLAIN = 'text/plain; charset=utf-8';

export class HealthServer {
  readonly #server: Server;

  constructor(sources: HttpSources) {
    this.#server = createServer((request, response) => {
      answer(sources, request.url ?? '').then(
        ({ status, contentType, text }) => {
          response.writeHead(status, { 'content-type': contentType }).end(text);
        },
        (error: unknown) => {
          response.writeHead(500, { 'content-type': PLAIN }).end(String(error));
        },
      );
    });
    // Probes and scrapes are short; a client that dawdles must not hold a socket.
    this.#server.requestTimeout = 10_000;
  }

  /** @param port 0 for any. @returns the port. @throws Error when it is taken */
  async listen(port: number, host?: string): Promise<number> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(sources: HttpSources, url: string): Promise<Answer> {
  const path = url.split('?')[0] ?? '';
  switch (path) {
    case '/healthz':
      return { status: 200, contentType: PLAIN, text: 'ok\n' };
    case '/readyz': {
      const problem = sources.ready();
      return {
        status: problem === undefined ? 200 : 503,
        contentType: PLAIN,
        text: `${problem ?? 'ok'}\n`,
      };
    }
    case '/metrics':
      return { status: 200, ...(await sources.metrics()) };
    default:
      return { status: 404, contentType: PLAIN, text: 'try /healthz, /readyz or /metrics\n' };
  }
}
