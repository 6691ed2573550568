// What is asked for and what is selected are the same: compared with the test server's reading of the text.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LabelSelector } from '../crds/meta.ts';
import { selects, selectorText } from './label-selector.ts';
import { labelSelector } from './testing/selectors.ts';

const LABELS: readonly Readonly<Record<string, string>>[] = [
  {},
  { app: 'redis' },
  { app: 'redis', tier: 'cache' },
  { app: 'nginx', tier: '' },
];

const CASES: readonly (readonly [LabelSelector, string, readonly boolean[]])[] = [
  [{}, '', [true, true, true, true]],
  [{ matchLabels: { app: 'redis' } }, 'app=redis', [false, true, true, false]],
  [
    { matchLabels: { app: 'redis', tier: 'cache' } },
    'app=redis,tier=cache',
    [false, false, true, false],
  ],
  [
    { matchExpressions: [{ key: 'app', operator: 'In', values: ['redis', 'x'] }] },
    'app in (redis,x)',
    [false, true, true, false],
  ],
  [
    { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['redis'] }] },
    'app notin (redis)',
    [true, false, false, true],
  ],
  [{ matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, 'tier', [false, false, true, true]],
  [
    {
      matchLabels: { app: 'redis' },
      matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }],
    },
    'app=redis,!tier',
    [false, true, false, false],
  ],
];

describe('label selectors', () => {
  for (const [selector, text, wanted] of CASES) {
    it(`"${text}"`, () => {
      assert.equal(selectorText(selector), text);
      assert.deepEqual(
        LABELS.map((labels) => selects(selector, labels)),
        wanted,
      );
      const asked = labelSelector(text);
      assert.deepEqual(
        LABELS.map((labels) => asked({ metadata: { labels } })),
        wanted,
      );
    });
  }
});
