// Which address takes the place of one that is gone, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressText, parseText } from './inet-address.ts';
import { type NetworkAddress, replacementFor } from './pod-address.ts';

const pod: readonly NetworkAddress[] = [
  { text: '127.0.0.1', loopback: true },
  { text: '::1', loopback: true },
  { text: '10.244.1.7', loopback: false },
  { text: 'fd00:10:244::7', loopback: false },
  { text: 'fe80::1c2d:3eff:fe4f:5061', loopback: false },
];
const old4 = parseText('10.244.0.3')!;
const old6 = parseText('fd00:10:244::3')!;

test('the only address of the family', () => {
  assert.equal(addressText(replacementFor(old4, pod)!), '10.244.1.7');
  assert.equal(addressText(replacementFor(old6, pod)!), 'fd00:10:244:0:0:0:0:7');
});

test('an IPv4 address of an IPv6 socket stays one', () => {
  const mapped = [0, 0, 0xffff0000, ...old4];
  assert.equal(addressText(replacementFor(mapped, pod)!), '0:0:0:0:0:ffff:af4:107');
});

test('none where there is none, or a choice', () => {
  assert.equal(replacementFor(old6, pod.slice(0, 3)), undefined);
  const two = [...pod, { text: '192.168.7.7', loopback: false }];
  assert.equal(replacementFor(old4, two), undefined);
});

test('text of addresses', () => {
  assert.deepEqual(parseText('1.2.3.4'), [0x04030201]);
  assert.deepEqual(parseText('::'), [0, 0, 0, 0]);
  assert.equal(addressText(parseText('2001:db8::8:1')!), '2001:db8:0:0:0:0:8:1');
  assert.equal(parseText('no address'), undefined);
});
