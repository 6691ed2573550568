// A kubeconfig for programs that are started against the test API server.

/** @param namespaces of further contexts, by their names. @returns the file's text, JSON, which is YAML */
export function testKubeconfig(
  server: string,
  namespace = 'default',
  namespaces: Readonly<Record<string, string>> = {},
): string {
  const contexts = Object.entries({ test: namespace, ...namespaces }).map(([name, own]) => ({
    name,
    context: { cluster: 'test', user: 'nobody', namespace: own },
  }));
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    // The library refuses plain http unless this is said.
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'nobody', user: {} }],
    contexts,
  });
}
