// A container runtime's CRI socket, played by an HTTP/2 server, for tests.
import { mkdtemp, rm } from 'node:fs/promises';
import * as http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CriStatusResponse,
  decodeExecRequest,
  encodeExecResponse,
  encodeStatusResponse,
  type ExecRequest,
  type ExecResult,
} from '../cri-messages.ts';

const FRAME_HEADER_BYTES = 5;

/** What the runtime says to a ContainerStatus call; `hang` never answers. */
export type Answer = CriStatusResponse | { readonly grpcStatus: number } | 'hang';

export interface FakeRuntime extends AsyncDisposable {
  readonly socketPath: string;
  /** to ContainerStatus; also to ExecSync unless that succeeds */
  answer: Answer;
  /** what a command comes to */
  exec: ((request: ExecRequest) => ExecResult) | undefined;
}

export async function startFakeRuntime(answer: Answer): Promise<FakeRuntime> {
  const folder = await mkdtemp(join(tmpdir(), 'diapause-cri-'));
  const socketPath = join(folder, 'cri.sock');
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  const runtime: FakeRuntime = {
    socketPath,
    answer,
    exec: undefined,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) {
        session.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const isExec = String(headers[':path']).endsWith('/ExecSync');
      if (isExec && runtime.exec !== undefined) {
        const request = decodeExecRequest(Buffer.concat(chunks).subarray(FRAME_HEADER_BYTES));
        return send(stream, encodeExecResponse(runtime.exec(request)));
      }
      respond(stream, runtime.answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return runtime;
}

function respond(stream: http2.ServerHttp2Stream, answer: Answer): void {
  if (answer === 'hang') {
    return;
  }
  if ('grpcStatus' in answer) {
    const trailers = { 'grpc-status': String(answer.grpcStatus), 'grpc-message': 'no%20such' };
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers });
    stream.end();
    return;
  }
  send(stream, encodeStatusResponse(answer));
}

function send(stream: http2.ServerHttp2Stream, message: Uint8Array): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([header, message]));
}
