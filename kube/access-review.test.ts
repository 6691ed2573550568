import assert from 'node:assert/strict';
import { it } from 'node:test';
import { reviewAccess } from './access-review.ts';
import { isForbidden } from './api-error.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';
import type { FakeKind } from './testing/fake-store.ts';
import { child, type JsonObject } from './testing/json.ts';

const REVIEWS: FakeKind = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
  answer: (object: JsonObject) => ({
    ...object,
    status: { allowed: child(object, 'spec')['user'] === 'root', reason: 'because' },
  }),
};

it('asks, and never takes silence for a yes', async () => {
  await using server = await FakeApiServer.start({ kinds: [REVIEWS] });
  const client = server.client();
  const question = { verb: 'restore', group: 'diapause.dev', resource: 'checkpoints', name: 'c' };
  const allowed = await reviewAccess(client, { user: 'root', groups: ['g'], ...question });
  assert.deepEqual(allowed, { allowed: true, reason: 'because' });
  assert.deepEqual(child(server.requests[0]?.body as JsonObject, 'spec'), {
    user: 'root',
    groups: ['g'],
    resourceAttributes: question,
  });
  assert.equal((await reviewAccess(client, { user: 'mallory', ...question })).allowed, false);
  server.faults.add({ action: { type: 'status', code: 403 } });
  await assert.rejects(reviewAccess(client, { user: 'root', ...question }), isForbidden);
  client.close();
});
