// How the controller is told where it is: environment variables, as the Deployment sets them.
import { OPERATOR_NAMESPACE } from '../crds/names.ts';

export interface Options {
  readonly podName: string;
  readonly podUid: string;
  readonly namespace: string;
  readonly httpPort: number;
  readonly logLevel: string;
}

const DEFAULT_HTTP_PORT = 8080;

/** @throws Error for a port that is none */
export function readOptions(environment: Readonly<Record<string, string | undefined>>): Options {
  const port = Number(environment['HTTP_PORT'] ?? DEFAULT_HTTP_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`HTTP_PORT=${environment['HTTP_PORT']} is no port: use 0 (any) to 65535`);
  }
  return {
    podName: environment['POD_NAME'] ?? `local-${process.pid}`,
    podUid: environment['POD_UID'] ?? '',
    namespace: environment['POD_NAMESPACE'] ?? OPERATOR_NAMESPACE,
    httpPort: port,
    logLevel: environment['LOG_LEVEL'] ?? 'info',
  };
}
