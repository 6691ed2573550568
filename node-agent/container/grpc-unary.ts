// One gRPC call over a Unix socket: HTTP/2, five bytes of framing, a status in the trailers. The runtime's socket
// needs no more than that (gRPC over HTTP/2, PROTOCOL-HTTP2).
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { abortable } from '../../kube/deadline.ts';

const MAX_ANSWER_BYTES = 16 << 20;
const FRAME_HEADER_BYTES = 5;

/** The runtime's own refusal, or no answer at all (`status` undefined). */
export class GrpcError extends Error {
  /** 5 NOT_FOUND, 12 UNIMPLEMENTED, 14 UNAVAILABLE ... */
  readonly status: number | undefined;

  constructor(method: string, status: number | undefined, detail: string) {
    super(`${method}: ${status === undefined ? '' : `gRPC status ${status}, `}${detail}`);
    this.name = 'GrpcError';
    this.status = status;
  }
}

export interface UnaryCall {
  readonly socketPath: string;
  /** `/runtime.v1.RuntimeService/ContainerStatus` */
  readonly method: string;
  readonly message: Uint8Array;
  readonly signal: AbortSignal;
}

/** @returns the answer's message. @throws GrpcError, or the signal's reason */
export async function callUnary(call: UnaryCall): Promise<Buffer> {
  // Nothing is begun whose end nobody waits for: it may be a command.
  call.signal.throwIfAborted();
  const session = http2.connect('http://localhost', {
    createConnection: () => net.connect(call.socketPath),
  });
  try {
    return await abortable(exchange(session, call), call.signal);
  } finally {
    session.destroy();
  }
}

function exchange(session: http2.ClientHttp2Session, call: UnaryCall): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new GrpcError(call.method, undefined, error.message));
    session.on('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': call.method,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    // A call that failed at once answers with headers only.
    let status: http2.IncomingHttpHeaders = {};
    stream.on('error', fail);
    stream.on('response', (headers) => (status = headers));
    stream.on('trailers', (trailers) => (status = trailers));
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) {
        stream.close();
        fail(new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`));
      }
      chunks.push(chunk);
    });
    stream.on('end', () => {
      try {
        resolve(unframe(call.method, status, Buffer.concat(chunks)));
      } catch (error) {
        reject(error as Error);
      }
    });
    stream.end(frame(call.message));
  });
}

function frame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function unframe(method: string, status: http2.IncomingHttpHeaders, answer: Buffer): Buffer {
  const code = status['grpc-status'];
  if (code !== '0') {
    const detail = decodeURIComponent(String(status['grpc-message'] ?? 'no status'));
    throw new GrpcError(method, code === undefined ? undefined : Number(code), detail);
  }
  const length = answer.length < FRAME_HEADER_BYTES ? -1 : answer.readUInt32BE(1);
  if (answer[0] !== 0 || answer.length !== FRAME_HEADER_BYTES + length) {
    throw new GrpcError(method, undefined, 'the answer is compressed or cut short');
  }
  return answer.subarray(FRAME_HEADER_BYTES);
}
