import assert from 'node:assert/strict';
import { it } from 'node:test';
import { objectKey, parseKey } from './keys.ts';

it('goes there and back', () => {
  for (const ref of [{ namespace: 'ns', name: 'a' }, { name: 'node.1' }]) {
    assert.deepEqual(parseKey(objectKey(ref)), ref);
  }
  assert.equal(objectKey({ namespace: '', name: 'a' }), 'a');
});
