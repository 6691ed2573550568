// What a verb works with: the API server (reached when first asked for), the namespace, the terminal.
import type { TypedObject } from '../crds/meta.ts';
import { Client } from '../kube/client.ts';
import type { Resource } from '../kube/resource.ts';
import { CliError } from './cli-error.ts';
import type { Io } from './io.ts';
import type { Kind } from './kinds.ts';

const FIELD_MANAGER = 'kubectl-diapause';

export interface Connection {
  readonly client: Client;
  /** of the command line or the context */
  readonly namespace: string;
}

export interface SessionOptions {
  readonly io: Io;
  /** aborted by Ctrl-C */
  readonly signal: AbortSignal;
  readonly namespace?: string | undefined;
  readonly context?: string | undefined;
  readonly kubeconfig?: string | undefined;
}

export class Session {
  readonly io: Io;
  readonly signal: AbortSignal;
  readonly #options: SessionOptions;
  #connection: Connection | undefined;

  constructor(options: SessionOptions) {
    this.io = options.io;
    this.signal = options.signal;
    this.#options = options;
  }

  /** @throws CliError when there is no usable kubeconfig */
  async connect(): Promise<Connection> {
    this.#connection ??= await connection(this.#options);
    return this.#connection;
  }

  /** The objects of one of our kinds. */
  async resource<T extends TypedObject>(kind: Kind): Promise<Resource<T>> {
    return (await this.connect()).client.resource<T>(kind.type);
  }

  /** Names of the kubeconfig's contexts; none where there is no kubeconfig. */
  async contexts(): Promise<readonly string[]> {
    const { loadKubeConfig } = await import('../kube/kubeconfig.ts');
    try {
      const config = loadKubeConfig({ path: this.#options.kubeconfig });
      return config.getContexts().map(({ name }) => name);
    } catch {
      return [];
    }
  }

  close(): void {
    this.#connection?.client.close();
  }
}

async function connection(options: SessionOptions): Promise<Connection> {
  // The client library takes a tenth of a second to load, and not every verb needs it.
  const { loadKubeConfig } = await import('../kube/kubeconfig.ts');
  const { context, kubeconfig: path, namespace } = options;
  try {
    const config = loadKubeConfig({ path, context });
    const own = config.getContextObject(config.getCurrentContext())?.namespace;
    return {
      client: new Client({ config, fieldManager: FIELD_MANAGER }),
      namespace: namespace ?? own ?? 'default',
    };
  } catch (error) {
    const facts = error instanceof Error ? error.message : String(error);
    throw new CliError(
      `no way to the cluster: ${facts}`,
      'name a kubeconfig with --kubeconfig or $KUBECONFIG, a context with --context',
    );
  }
}
