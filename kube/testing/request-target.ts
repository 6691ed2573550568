// Which object or collection a request of the test server means, and what it wants with it.
import type { IncomingMessage } from 'node:http';
import { type FakeKind, Refusal } from './fake-store.ts';

export interface Target {
  readonly kind: FakeKind;
  readonly verb: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  readonly query: URLSearchParams;
  readonly contentType: string;
}

/** @throws Refusal NotFound for a path of no known kind */
export function parseTarget(
  request: IncomingMessage,
  url: URL,
  kinds: readonly FakeKind[],
): Target {
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const [group = '', version = ''] = parts[0] === 'api' ? ['', parts[1]] : [parts[1], parts[2]];
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [plural, name, subresource] = rest;
  const kind = kinds.find(
    (known) => known.group === group && known.version === version && known.plural === plural,
  );
  if (kind === undefined) {
    throw new Refusal(
      404,
      'NotFound',
      `the server could not find the requested resource ${url.pathname}`,
    );
  }
  const contentType = request.headers['content-type'] ?? '';
  const verb = verbOf(request.method ?? '', name !== undefined, url.searchParams, contentType);
  return { kind, verb, namespace, name, subresource, query: url.searchParams, contentType };
}

function verbOf(
  method: string,
  named: boolean,
  query: URLSearchParams,
  contentType: string,
): string {
  switch (method) {
    case 'GET':
      return query.get('watch') === 'true' ? 'watch' : named ? 'get' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return contentType.startsWith('application/apply-patch') ? 'apply' : 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      throw new Refusal(405, 'MethodNotAllowed', method);
  }
}
