// What a client speaks over: a connection, or a program that has one.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';

/** Both directions, and how to end it. */
export interface Line {
  readonly out: Writable;
  readonly in: Readable;
  close(): void;
}

export function tcpLine(host: string, port: number): Line {
  const socket = connect({ host, port, noDelay: true });
  return { out: socket, in: socket, close: () => socket.destroy() };
}

/** A client program that is asked on its standard input; what it complains about is heard, too. */
export function programLine(command: readonly string[]): Line {
  const child = spawn('/bin/sh', ['-c', 'exec "$@" 2>&1', 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return { out: child.stdin, in: child.stdout, close: () => void child.kill() };
}
