// A connection between two agents: frames both ways, a sign of life every two seconds, an end to silence.
import type { TLSSocket } from 'node:tls';
import { messageOf, TaskFailure } from '../task-failure.ts';
import {
  ALIVE_MILLIS,
  FRAME,
  type Frame,
  type FrameKind,
  frameHeader,
  FrameParser,
} from './frames.ts';

const SILENCE_MILLIS = 15_000;
const GOODBYE_MILLIS = 2_000;
/** Fewer bytes go into one record with their header. */
const JOINED_BYTES = 8 << 10;

export interface PeerStreamOptions {
  readonly socket: TLSSocket;
  /** its abort cuts the connection */
  readonly signal: AbortSignal;
  /** without a word for so long the other side counts as gone */
  readonly silenceMillis?: number;
}

export class PeerStream implements AsyncDisposable {
  readonly #socket: TLSSocket;
  readonly #signal: AbortSignal;
  readonly #silenceMillis: number;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => this.#cut(this.#signal.reason);
  /** since when we have been waiting for the other side; a reader that is busy itself must not judge it */
  #waitingSince: number | undefined;
  #failure: unknown;

  constructor({ socket, signal, silenceMillis = SILENCE_MILLIS }: PeerStreamOptions) {
    this.#socket = socket;
    this.#signal = signal;
    this.#silenceMillis = silenceMillis;
    socket.on('error', (error) => (this.#failure ??= cutOff(messageOf(error))));
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) {
      this.#onAbort();
    }
    this.#timer = setInterval(() => this.#beat(), Math.min(ALIVE_MILLIS, silenceMillis / 3));
  }

  /**
   * Resolves when the kernel has taken everything: the memory of `content` is the caller's again.
   *
   * @throws TaskFailure TransferFailed
   */
  async send(kind: FrameKind, content: Uint8Array | string = ''): Promise<void> {
    const body = typeof content === 'string' ? Buffer.from(content) : content;
    this.#assertOpen();
    const header = frameHeader(kind, body.byteLength);
    if (body.byteLength < JOINED_BYTES) {
      await this.#written(Buffer.concat([header, body]));
    } else {
      // Joined, as cork does it too, all of it would be copied.
      this.#socket.write(header);
      await this.#written(body);
    }
  }

  /**
   * What the other side says, as much as comes at a time, until it ends.
   *
   * @throws TaskFailure TransferFailed when it ends in the middle
   */
  async *frames(): AsyncGenerator<readonly Frame[]> {
    const parser = new FrameParser();
    const chunks = this.#socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (;;) {
      const { done, value } = await this.#next(chunks);
      if (done === true) {
        break;
      }
      yield parser.take(value);
    }
    if (parser.incomplete) {
      throw cutOff('it was closed in the middle');
    }
  }

  async #next(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
    this.#waitingSince = performance.now();
    try {
      return await chunks.next();
    } catch (error) {
      throw this.#failure instanceof Error ? this.#failure : cutOff(messageOf(error));
    } finally {
      this.#waitingSince = undefined;
    }
  }

  async #written(bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Whatever went wrong is told by the next line; a socket that is destroyed may forget what it was writing.
    this.#socket.once('close', resolve);
    this.#socket.write(bytes, () => resolve());
    await promise;
    this.#socket.off('close', resolve);
    this.#assertOpen();
  }

  #assertOpen(): void {
    if (this.#failure !== undefined || this.#socket.destroyed) {
      throw this.#failure instanceof Error ? this.#failure : cutOff('it is closed');
    }
  }

  #beat(): void {
    const silentMillis = performance.now() - (this.#waitingSince ?? performance.now());
    if (silentMillis > this.#silenceMillis) {
      const facts = `the other agent was not heard of for ${Math.round(silentMillis / 1000)} s`;
      this.#cut(new TaskFailure('TransferFailed', facts));
    } else if (this.#socket.writable) {
      this.#socket.write(frameHeader(FRAME.alive, 0));
    }
  }

  #cut(reason: unknown): void {
    this.#failure ??= reason;
    this.#socket.destroy(reason instanceof Error ? reason : undefined);
  }

  /** Lets what was said last get through, for a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (!this.#socket.destroyed) {
      const goodbye = AbortSignal.timeout(GOODBYE_MILLIS);
      await new Promise<void>((resolve) => {
        goodbye.addEventListener('abort', () => resolve());
        this.#socket.end(() => resolve());
      });
    }
    this.#socket.destroy();
  }
}

function cutOff(why: string): TaskFailure {
  return new TaskFailure('TransferFailed', `the connection between the agents broke: ${why}`);
}
