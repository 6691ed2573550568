// The client of redis as a process inside a node: from there pods can be reached.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { CHECKOUT, type NodeName } from '../../e2e/testing/cluster.ts';
import type { AnswerTo, Order } from './redis-client.ts';

export class ClientProcess implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static start(nodeName: NodeName): ClientProcess {
    const script = join(CHECKOUT, 'deploy/cluster/cluster.sh');
    const program = join(import.meta.dirname, 'redis-client.ts');
    const args = ['exec', nodeName, process.execPath, program];
    return new ClientProcess(spawn(script, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** One at a time. */
  async ask<Asked extends Order>(order: Asked): Promise<AnswerTo<Asked>> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const { done, value } = await this.#lines.next();
    if (done === true) {
      throw new Error('the client of redis ended');
    }
    return JSON.parse(value) as AnswerTo<Asked>;
  }

  /** It ends with its input. */
  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }
}
