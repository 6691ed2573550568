import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fieldSelector, labelSelector, UnknownField } from './selectors.ts';

it('selects by labels', () => {
  const object = { metadata: { labels: { app: 'x', tier: 'db' } } };
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['app=x', true],
    ['app==x,tier=db', true],
    ['app=y', false],
    ['app!=y', true],
    ['none!=y', true],
    ['app', true],
    ['!app', false],
    ['!none', true],
    ['app in (x, y),tier', true],
    ['app notin (x)', false],
    ['none notin (x)', true],
    ['none in (x)', false],
  ];
  for (const [text, expected] of cases) {
    assert.equal(labelSelector(text)(object), expected, text);
  }
});

it('selects by fields, if they are selectable', () => {
  const object = { metadata: { name: 'a', namespace: 'ns' }, spec: { nodeName: 'n1' } };
  const select = (text: string) => fieldSelector(text, ['spec.nodeName'])(object);
  assert.ok(select('spec.nodeName=n1,metadata.name=a'));
  assert.ok(!select('spec.nodeName!=n1'));
  assert.ok(!select('metadata.namespace=other'));
  assert.throws(() => select('spec.size=1'), UnknownField);
});
