import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  ApiError,
  errorFromAnswer,
  errorFromStatusObject,
  isAlreadyExists,
  isConflict,
  isGone,
  isTransient,
} from './api-error.ts';

const SUBJECT = { verb: 'get', resource: 'pods', namespace: 'ns', name: 'p' };

it('takes the facts from a Status', () => {
  const body = JSON.stringify({
    kind: 'Status',
    reason: 'AlreadyExists',
    message: 'pods "p" already exists',
    details: { retryAfterSeconds: 3 },
  });
  const error = errorFromAnswer(SUBJECT, 409, body);
  assert.deepEqual(
    [error.status, error.reason, error.detail, error.retryAfterSeconds],
    [409, 'AlreadyExists', 'pods "p" already exists', 3],
  );
  assert.ok(isAlreadyExists(error) && !isConflict(error));
  assert.equal(errorFromAnswer(SUBJECT, 429, body, '9').retryAfterSeconds, 9);
});

it('makes do with anything else', () => {
  for (const body of ['', 'null', '[]', '{}', '"x"', '<html>bad gateway</html>', '{"kind":']) {
    const error = errorFromAnswer(SUBJECT, 503, body, 'Wed, 21 Oct 2030 07:28:00 GMT');
    assert.deepEqual([error.reason, error.retryAfterSeconds], ['ServiceUnavailable', undefined]);
    assert.ok(isTransient(error) && error.detail !== '');
  }
  assert.equal(errorFromAnswer(SUBJECT, 418, '').reason, 'Unknown');
});

it('knows an expired version by status and by reason', () => {
  assert.ok(isGone(errorFromStatusObject(SUBJECT, { kind: 'Status', code: 410 })));
  assert.ok(isGone(errorFromStatusObject(SUBJECT, { kind: 'Status', reason: 'Expired' })));
  assert.equal(errorFromStatusObject(SUBJECT, undefined).status, 500);
  assert.ok(!isGone(new Error('410')));
});

it('says what was asked, of what', () => {
  const facts = { ...SUBJECT, status: 0, reason: 'TimedOut', detail: 'no answer' };
  const cause = new Error('x');
  const error = new ApiError({ ...facts, cause });
  assert.equal(error.message, 'get pods ns/p: TimedOut: no answer');
  assert.equal(error.cause, cause);
});
