// A client of redis inside a node of the cluster, where pods can be reached: fills it, then asks without rest, and follows it
// to whichever address answers. Orders come as lines of JSON, and so do its answers.
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export type Order =
  | { readonly do: 'fill'; readonly address: string; readonly mib: number }
  /** ask it from now on */
  | { readonly do: 'follow'; readonly address: string }
  /** it will be there next; answers once it is */
  | { readonly do: 'expect'; readonly address: string };

export interface Filled {
  readonly filledKeys: number;
}

export type AnswerTo<Asked extends Order> = Asked['do'] extends 'fill'
  ? Filled
  : Asked['do'] extends 'expect'
    ? Moved
    : object;

export interface Moved {
  /** from the last answer over there to the first one here */
  readonly gapMillis: number;
  /** asked before the gap */
  readonly requests: number;
  /** what the last answer had counted to, and the first one */
  readonly before: number;
  readonly after: number;
  readonly keys: number;
}

const PORT = 6379;
const LOAD_BYTES = 1024;
const VALUE_BYTES = 64 << 10;
const KEYS_PER_MIB = (1 << 20) / VALUE_BYTES;
/** A frozen redis still accepts connections; its successor refuses them until it runs. */
const ANSWER_MILLIS = 100;
const PAUSE_MILLIS = 2;

class Redis implements Disposable {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #left = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  static async open(address: string): Promise<Redis> {
    const socket = connect({ host: address, port: PORT, noDelay: true });
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MILLIS) });
    } catch (error) {
      socket.on('error', () => undefined);
      socket.destroy();
      throw error;
    }
    socket.on('error', () => undefined);
    return new Redis(socket);
  }

  /** Whole commands. @returns a number for each, 0 for what says OK */
  async ask(...commands: readonly (readonly (string | Uint8Array)[])[]): Promise<number[]> {
    this.#socket.write(Buffer.concat(commands.map(encode)));
    const answers: number[] = [];
    while (answers.length < commands.length) {
      answers.push(numberOf(await this.#line()));
    }
    return answers;
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#left.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#left.toString('latin1', 0, end);
        this.#left = this.#left.subarray(end + 2);
        return line;
      }
      const { done, value } = await this.#chunks.next();
      if (done === true) {
        throw new Error('the connection was closed');
      }
      this.#left = Buffer.concat([this.#left, value]);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

function encode(words: readonly (string | Uint8Array)[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = Buffer.from(word);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

function numberOf(line: string): number {
  if (line.startsWith('-')) {
    throw new Error(line);
  }
  return line.startsWith(':') ? Number(line.slice(1)) : 0;
}

async function fill(address: string, mib: number): Promise<Filled> {
  using redis = await Redis.open(address);
  const values = Array.from({ length: KEYS_PER_MIB }, () => Buffer.alloc(VALUE_BYTES));
  for (let done = 0; done < mib; done++) {
    const commands = values.map((value, i) => ['SET', `${done}:${i}`, randomFillSync(value)]);
    await redis.ask(...commands);
  }
  const [filledKeys = 0] = await redis.ask(['DBSIZE']);
  return { filledKeys };
}

/** Asks for ever, and where it is expected next as well. */
class Follower {
  #address: string;
  #lastMillis = 0;
  #count = 0;
  #requests = 0;

  constructor(address: string) {
    this.#address = address;
    void this.#attend(address);
  }

  /** Resolves when the address answers. */
  async expect(address: string): Promise<Moved> {
    for (;;) {
      try {
        return await this.#arrive(address);
      } catch {
        await sleep(PAUSE_MILLIS);
      }
    }
  }

  async #arrive(address: string): Promise<Moved> {
    using redis = await Redis.open(address);
    const [after = 0] = await withinTime(redis.ask(['INCR', 'count']));
    const gapMillis = performance.now() - this.#lastMillis;
    const [requests, before] = [this.#requests, this.#count];
    this.#address = address;
    this.#requests = 0;
    void this.#attend(address);
    const [keys = 0] = await redis.ask(['DBSIZE']);
    return { gapMillis, requests, before, after, keys };
  }

  async #attend(address: string): Promise<void> {
    while (this.#address === address) {
      await this.#stay(address).catch(() => undefined);
      await sleep(PAUSE_MILLIS);
    }
  }

  /** As long as it answers. */
  async #stay(address: string): Promise<void> {
    using redis = await Redis.open(address);
    const value = randomFillSync(Buffer.alloc(LOAD_BYTES));
    const work = [
      ['INCR', 'count'],
      ['SET', 'load', value],
    ] as const;
    while (this.#address === address) {
      const [count = 0] = await withinTime(redis.ask(...work));
      this.#lastMillis = performance.now();
      this.#count = count;
      this.#requests++;
    }
  }
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const limit = AbortSignal.timeout(ANSWER_MILLIS);
  return await Promise.race([
    work,
    once(limit, 'abort').then(() => {
      throw new Error('no answer');
    }),
  ]);
}

let follower: Follower | undefined;

async function obey(order: Order): Promise<object> {
  switch (order.do) {
    case 'fill':
      return await fill(order.address, order.mib);
    case 'follow':
      follower = new Follower(order.address);
      return { following: order.address };
    case 'expect':
      if (follower === undefined) {
        throw new Error('whom to follow?');
      }
      return await follower.expect(order.address);
  }
}

if (import.meta.main) {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await obey(JSON.parse(line) as Order);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit();
}
