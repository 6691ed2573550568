// Where the API server is and who we are. The only file that loads the client library at run time.
import { KubeConfig } from '@kubernetes/client-node';

export interface KubeConfigOptions {
  /** file to read instead of the usual places */
  readonly path?: string | undefined;
  readonly context?: string | undefined;
}

/**
 * Loads a kubeconfig: `path`, else `$KUBECONFIG`, `~/.kube/config`, the pod's service account.
 * @throws Error when the file cannot be read, or the context or its cluster does not exist in it
 */
export function loadKubeConfig(options: KubeConfigOptions = {}): KubeConfig {
  const config = new KubeConfig();
  if (options.path === undefined) {
    config.loadFromDefault();
  } else {
    config.loadFromFile(options.path);
  }
  if (options.context !== undefined) {
    config.setCurrentContext(options.context);
  }
  if (config.getCurrentCluster() === null) {
    const known = config.getContexts().map((context) => context.name);
    throw new Error(
      `kubeconfig: context "${config.getCurrentContext()}" has no cluster; known contexts: ${known.join(', ') || 'none'}. Choose one with --context or kubectl config use-context`,
    );
  }
  return config;
}

/** A config for a server that asks for no credentials: `kubectl proxy`, the test server. */
export function plainKubeConfig(server: string): KubeConfig {
  const config = new KubeConfig();
  // The library refuses plain http unless this is said.
  config.loadFromClusterAndUser(
    { name: 'plain', server, skipTLSVerify: server.startsWith('http:') },
    { name: 'nobody' },
  );
  return config;
}
