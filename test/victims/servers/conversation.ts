// A client that never rests and never connects again: every answer must be the next number, all else is an error.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Line } from './line.ts';
import type { Protocol } from './protocols.ts';

const PATIENCE_MILLIS = 30_000;
const POLL_MILLIS = 5;

export interface Talk {
  /** what is counted */
  readonly name: string;
  /** what the server answered this name before; default: nothing yet */
  readonly last?: number;
  /** an earlier connection ended before its last question was answered */
  readonly mayFindPending?: boolean;
  /** after so many answers it asks no more; default: it never stops */
  readonly limit?: number;
}

export class Conversation implements Disposable {
  readonly #line: Line;
  readonly #protocol: Protocol;
  readonly #talk: Talk;
  #received = '';
  #askedAtMillis = 0;
  #isWaiting = false;
  #isEnding = false;
  #isOver = false;
  /** the last question of an earlier connection may be answered any time, and nobody hears it */
  #mayFindPending: boolean;
  /** the newest number that was answered */
  last: number;
  answers = 0;
  longestMillis = 0;
  /** what ended it */
  failure: string | undefined;

  constructor(line: Line, protocol: Protocol, talk: Talk) {
    this.#line = line;
    this.#protocol = protocol;
    this.#talk = talk;
    this.last = protocol.countsAnew ? 0 : (talk.last ?? 0);
    this.#mayFindPending = talk.mayFindPending ?? false;
    line.in.setEncoding('latin1');
    line.in.on('data', (text: string) => this.#hear(text));
    line.in.on('error', (error) => this.#fail(error.message));
    line.in.on('close', () => this.#fail('the connection was closed'));
    line.out.on('error', (error) => this.#fail(error.message));
    this.#ask();
  }

  /** Waits for `count` more answers. @throws Error when they do not come */
  async hears(count: number): Promise<void> {
    const wanted = this.answers + count;
    await this.#until(`${count} answers`, () => {
      if (this.failure !== undefined) throw new Error(`${this.#talk.name}: ${this.failure}`);
      return this.answers >= wanted;
    });
  }

  /** Waits until the other side has ended it. @throws Error when it does not */
  async breaks(): Promise<void> {
    await this.#until('the end of the connection', () => this.failure !== undefined);
  }

  /** Asks no more, and waits for the last answer. */
  async ends(): Promise<void> {
    this.#isEnding = true;
    await this.#until('its last answer', () => !this.#isWaiting || this.failure !== undefined);
    this[Symbol.dispose]();
    if (this.failure !== undefined) throw new Error(`${this.#talk.name}: ${this.failure}`);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#line.close();
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    for (const end = performance.now() + PATIENCE_MILLIS; !isSo(); await sleep(POLL_MILLIS)) {
      if (performance.now() > end) {
        throw new Error(`${this.#talk.name} waits for ${what}, heard ${this.answers} answers`);
      }
    }
  }

  #ask(): void {
    this.#isWaiting = true;
    this.#askedAtMillis = performance.now();
    this.#line.out.write(this.#protocol.ask(this.#talk.name));
  }

  #hear(text: string): void {
    this.#received += text;
    const answer = this.#protocol.read(this.#received);
    if (answer === undefined || this.failure !== undefined) return;
    const took = performance.now() - this.#askedAtMillis;
    this.longestMillis = Math.max(this.longestMillis, took);
    const step = answer.count - this.last;
    const foundPending = step === 2 && this.#mayFindPending;
    if (foundPending) this.#mayFindPending = false;
    if (step !== 1 && !foundPending) {
      this.#fail(`after ${this.last} came ${JSON.stringify(this.#received.slice(0, 300))}`);
      return;
    }
    this.#received = this.#received.slice(answer.end);
    this.last = answer.count;
    this.answers += 1;
    this.#isWaiting = false;
    if (!this.#isEnding && this.answers !== this.#talk.limit) this.#ask();
  }

  #fail(why: string): void {
    if (!this.#isOver) this.failure ??= why;
  }
}

/** Clients that come and go, one after the other: a new connection for every question. */
export class PassingClients implements AsyncDisposable {
  readonly #ended: Promise<void>;
  #isOver = false;
  came = 0;
  failure: string | undefined;

  constructor(open: () => Line, protocol: Protocol, name: string) {
    this.#ended = this.#come(open, protocol, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #come(open: () => Line, protocol: Protocol, name: string): Promise<void> {
    while (!this.#isOver && this.failure === undefined) {
      try {
        const talk = { name, last: this.came, limit: 1 };
        using one = new Conversation(open(), protocol, talk);
        await one.hears(1);
        this.came += 1;
      } catch (error) {
        this.failure = String(error);
      }
    }
  }
}
