// The source's way to the target's agent: TLS 1.3 both ways, each side known by the fingerprint of its certificate.
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { messageOf, TaskFailure } from '../task-failure.ts';
import { fingerprintOf, type TransferIdentity } from './certificate.ts';
import { CIPHER } from './frames.ts';

const CONNECT_MILLIS = 10_000;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** of the certificate that is expected there */
  readonly fingerprint: string;
}

/** @throws TaskFailure PeerUnreachable, PeerUntrusted */
export async function connectToPeer(
  endpoint: Endpoint,
  identity: TransferIdentity,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { address, port, fingerprint } = endpoint;
  const socket = connectTls({
    host: address,
    port,
    key: identity.key,
    cert: identity.certificate,
    minVersion: 'TLSv1.3',
    ciphers: CIPHER,
    // Nobody has signed it but itself: it is compared below, whole.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MILLIS)]);
    await once(socket, 'secureConnect', { signal: limit });
    assertFingerprint(socket, fingerprint, `${address}:${port}`);
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    signal.throwIfAborted();
    if (error instanceof TaskFailure) {
      throw error;
    }
    const late = (error as Error).name === 'AbortError';
    const why = late ? `no answer within ${CONNECT_MILLIS / 1000} s` : messageOf(error);
    const facts = `the agent at ${address}:${port} cannot be reached from this node: ${why}`;
    throw new TaskFailure('PeerUnreachable', facts, { cause: error });
  }
}

/** @throws TaskFailure PeerUntrusted */
export function assertFingerprint(socket: TLSSocket, expected: string, who: string): void {
  const found = peerFingerprint(socket);
  if (found !== expected) {
    const facts = `${who} showed the certificate ${found ?? 'of nobody'}, expected is ${expected}`;
    throw new TaskFailure('PeerUntrusted', facts);
  }
}

function peerFingerprint(socket: TLSSocket): string | undefined {
  const { raw } = socket.getPeerCertificate() as { readonly raw?: Buffer };
  return raw === undefined ? undefined : fingerprintOf(raw);
}
