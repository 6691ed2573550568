// Where the target's agent waits for the source's: a port of its own pod for one transfer. Whoever else comes is sent away.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { TaskFailure } from '../task-failure.ts';
import { makeIdentity } from './certificate.ts';
import { assertFingerprint, type Endpoint } from './connect.ts';
import { ALIVE_MILLIS, CIPHER, FRAME, frameHeader } from './frames.ts';

const HANDSHAKE_MILLIS = 10_000;
/** Strangers that may be in the door at a time. */
const MAX_CONNECTIONS = 16;

export class Listener implements Disposable {
  readonly endpoint: Endpoint;
  readonly #server: Server;
  readonly #waiting = new Set<TLSSocket>();

  private constructor(server: Server, endpoint: Endpoint) {
    this.#server = server;
    this.endpoint = endpoint;
  }

  /** @param address our pod's own, which is where the source's agent will look for us */
  static async open(address: string): Promise<Listener> {
    const identity = makeIdentity();
    const server = createServer({
      key: identity.key,
      cert: identity.certificate,
      minVersion: 'TLSv1.3',
      ciphers: CIPHER,
      requestCert: true,
      // Nobody has signed it but itself: it is compared in accept, whole.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MILLIS,
    });
    server.maxConnections = MAX_CONNECTIONS;
    // Somebody who speaks no TLS; the one meant still may come.
    server.on('tlsClientError', () => undefined);
    server.listen({ host: address, port: 0 });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return new Listener(server, { address, port, fingerprint: identity.fingerprint });
  }

  /** Waits for the one with this certificate. */
  async accept(expected: Promise<string>, signal: AbortSignal): Promise<TLSSocket> {
    const found = Promise.withResolvers<TLSSocket>();
    const give = (socket: TLSSocket): void => {
      this.#waiting.add(socket);
      // It may come before the controller has told us who it is.
      const alive = setInterval(() => socket.write(frameHeader(FRAME.alive, 0)), ALIVE_MILLIS);
      socket.on('close', () => {
        clearInterval(alive);
        this.#waiting.delete(socket);
      });
      socket.on('error', () => undefined);
      void expected.then(
        (fingerprint) => {
          clearInterval(alive);
          this.#judge(socket, fingerprint, found.resolve);
        },
        () => socket.destroy(),
      );
    };
    // Aborted already: nobody will wait for it.
    found.promise.catch(() => undefined);
    const abort = (): void => found.reject(signal.reason as Error);
    expected.catch((error: unknown) => found.reject(error as Error));
    signal.addEventListener('abort', abort);
    this.#server.on('secureConnection', give);
    try {
      signal.throwIfAborted();
      return await found.promise;
    } finally {
      this.#server.off('secureConnection', give);
      signal.removeEventListener('abort', abort);
    }
  }

  #judge(socket: TLSSocket, fingerprint: string, resolve: (socket: TLSSocket) => void): void {
    try {
      assertFingerprint(socket, fingerprint, `${socket.remoteAddress}`);
      this.#waiting.delete(socket);
      resolve(socket);
    } catch (error) {
      const { code, message } = error as TaskFailure;
      const refusal = Buffer.from(JSON.stringify({ code, message }));
      socket.end(Buffer.concat([frameHeader(FRAME.failed, refusal.length), refusal]));
    }
  }

  /** The connection that was accepted stays. */
  [Symbol.dispose](): void {
    this.#waiting.forEach((socket) => socket.destroy());
    this.#server.close();
  }
}
