import assert from 'node:assert/strict';
import { it } from 'node:test';
import { formatBytes, formatBytesRounded, parseBytes, parseQuantity } from './quantity.ts';

it('reads every form', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['128', 128],
    ['100m', 0.1],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['-2k', -2000],
    ['+1Ki', 1024],
    ['1.5Gi', 1610612736],
    ['2e3', 2000],
    ['2E3', 2000],
    ['25e-1', 2.5],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['10u', 0.00001],
    ['7n', 0.000000007],
  ];
  for (const [text, value] of cases) {
    assert.equal(parseQuantity(text), value, text);
  }
});

it('refuses what is none', () => {
  for (const text of [
    '',
    '.',
    '-',
    'Mi',
    '1 Gi',
    '1gi',
    '1KiB',
    '0x10',
    '1e',
    '1e99',
    'e3',
    '1,5',
  ]) {
    assert.throws(() => parseQuantity(text), RangeError, text);
    assert.throws(() => parseBytes(text), RangeError, text);
  }
});

it('rounds bytes away from zero, exactly', () => {
  assert.equal(parseBytes('1.5'), 2);
  assert.equal(parseBytes('1m'), 1);
  assert.equal(parseBytes('0.1Ki'), 103);
  assert.equal(parseBytes('-1500m'), -2);
  assert.equal(parseBytes('9007199254740991'), Number.MAX_SAFE_INTEGER);
  assert.throws(() => parseBytes('9007199254740992'), RangeError);
});

it('writes exact quantities that read back the same', () => {
  assert.equal(formatBytes(0), '0');
  assert.equal(formatBytes(1536 * 2 ** 20), '1536Mi');
  assert.equal(formatBytes(2 ** 30), '1Gi');
  assert.equal(formatBytes(1025), '1025');
  for (let i = 0; i < 200; i++) {
    const size = Math.floor(1.17 ** i);
    assert.equal(parseBytes(formatBytes(size)), size);
  }
});

it('writes short quantities for people, never too small', () => {
  assert.equal(formatBytesRounded(0), '0');
  assert.equal(formatBytesRounded(999), '999');
  assert.equal(formatBytesRounded(1000), '1Ki');
  assert.equal(formatBytesRounded(109 * 2 ** 20 + 1), '110Mi');
  assert.equal(formatBytesRounded(1.25 * 2 ** 30), '1.3Gi');
  for (let i = 0; i < 200; i++) {
    const size = Math.floor(1.17 ** i);
    const shown = formatBytesRounded(size);
    assert.ok(parseQuantity(shown) >= size, shown);
    assert.ok(parseQuantity(shown) <= size * 1.1 + 24, shown);
    assert.ok(shown.length <= 6, shown);
  }
});
