// What the engine is told on stdin: its task, then orders, a JSON line each. It waits for them with all it has: it is one thread,
// and nobody is attached to the application meanwhile.
import { readSync } from 'node:fs';
import { waitUntilReadable } from './linux/readiness.ts';
import type { EngineOrder, EngineTask } from './protocol.ts';

const CHUNK_BYTES = 64 << 10;

/** Where the next order comes from. */
export interface Orders {
  /** @throws Error when nobody is there any more who could give one */
  next(): EngineOrder;
}

export class Input implements Orders {
  readonly #fd: number;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #text = Buffer.alloc(0);
  #ended = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The first line, or all there is. @throws SyntaxError */
  task(): EngineTask {
    return JSON.parse(this.#line()) as EngineTask;
  }

  next(): EngineOrder {
    const line = this.#line();
    if (line === '') throw new Error('whoever started the engine has gone');
    return JSON.parse(line) as EngineOrder;
  }

  #line(): string {
    let end = this.#text.indexOf('\n');
    while (end < 0 && !this.#ended) {
      // It may be one that does not wait by itself.
      waitUntilReadable(this.#fd);
      const bytes = readSync(this.#fd, this.#chunk);
      this.#ended = bytes === 0;
      this.#text = Buffer.concat([this.#text, this.#chunk.subarray(0, bytes)]);
      end = this.#text.indexOf('\n');
    }
    const line = end < 0 ? this.#text : this.#text.subarray(0, end);
    this.#text = end < 0 ? Buffer.alloc(0) : this.#text.subarray(end + 1);
    return line.toString();
  }
}
