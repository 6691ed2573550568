// kubectl, as a user would call it: the demo does nothing to the cluster that is not one of these commands.
import { execFile, type ExecFileException } from 'node:child_process';
import process from 'node:process';

const TIMEOUT_MILLIS = 180_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** kubectl said no; the message is its own. */
export class KubectlError extends Error {
  readonly args: readonly string[];

  constructor(args: readonly string[], said: string) {
    super(`kubectl ${args.slice(0, 4).join(' ')}: ${said.trim()}`);
    this.name = 'KubectlError';
    this.args = args;
  }
}

export class Kubectl {
  readonly #program: string;
  readonly #kubeconfig: string;
  readonly #namespace: string;

  constructor(program: string, kubeconfig: string, namespace: string) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
    this.#namespace = namespace;
  }

  /** @throws KubectlError */
  run(args: readonly string[], input = ''): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const child = execFile(
      this.#program,
      ['-n', this.#namespace, ...args],
      {
        env: { ...process.env, KUBECONFIG: this.#kubeconfig },
        timeout: TIMEOUT_MILLIS,
        maxBuffer: MAX_OUTPUT_BYTES,
      },
      (error: ExecFileException | null, stdout: string, stderr: string) => {
        if (error === null) {
          resolve(stdout);
        } else {
          reject(new KubectlError(args, stderr || error.message));
        }
      },
    );
    child.stdin?.end(input);
    return promise;
  }

  async get<Kind>(type: string, name: string): Promise<Kind> {
    return JSON.parse(await this.run(['get', type, name, '-o', 'json'])) as Kind;
  }

  async list<Kind>(type: string): Promise<readonly Kind[]> {
    const list = JSON.parse(await this.run(['get', type, '-o', 'json'])) as {
      readonly items: readonly Kind[];
    };
    return list.items;
  }

  apply(manifest: string): Promise<string> {
    return this.run(['apply', '-f', '-'], manifest);
  }

  exec(pod: string, command: readonly string[]): Promise<string> {
    return this.run(['exec', pod, '--', ...command]);
  }

  /** Asks a program in a pod that answers in JSON. */
  async ask<Answer>(pod: string, command: readonly string[]): Promise<Answer> {
    return JSON.parse(await this.exec(pod, command)) as Answer;
  }
}
