// The agent's small HTTP server for the kubelet and for Prometheus: /healthz, /readyz, /metrics.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';

export interface Health {
  readonly registry: Registry;
  close(): void;
}

export interface HealthOptions {
  readonly port: number;
  /** can it take tasks? */
  readonly isReady: () => boolean;
  readonly registry: Registry;
}

export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** Listens on all addresses of the pod: the kubelet asks from outside. */
export async function startHealth({ port, isReady, registry }: HealthOptions): Promise<Health> {
  const server = createServer((request, answer) => {
    const path: string = request.url ?? '';
    switch (path) {
      case '/healthz':
        return reply(answer, 200, 'ok');
      case '/readyz':
        return isReady()
          ? reply(answer, 200, 'ok')
          : reply(answer, 503, 'the tasks are not listed');
      case '/metrics':
        return void registry.metrics().then(
          (text) => reply(answer, 200, text, registry.contentType),
          () => reply(answer, 500, 'metrics failed'),
        );
      default:
        return reply(answer, 404, 'not found');
    }
  });
  server.listen(port);
  await once(server, 'listening');
  return {
    registry,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function reply(answer: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  answer.writeHead(status, { 'content-type': type });
  answer.end(`${text}\n`);
}
