// Addresses go from the kernel's form to CRIU's words and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AF } from '../../linux/sockets.ts';
import { addressBytes, addressText, isAnyAddress, parseAddress } from './inet-address.ts';

test('IPv4: the word holds the bytes in network order', () => {
  const sockaddr = Buffer.from([2, 0, 0x1f, 0x90, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
  const address = parseAddress(sockaddr);
  assert.deepEqual(address, { port: 8080, words: [0x0302010a], scope: 0 });
  assert.deepEqual(addressBytes(AF.INET, address), sockaddr);
  assert.equal(addressText(address.words), '10.1.2.3');
});

test('IPv6 keeps its scope', () => {
  const bytes = Array.from({ length: 16 }, (_, i) => i + 1);
  const sockaddr = Buffer.from([10, 0, 0, 53, 0, 0, 0, 0, ...bytes, 7, 0, 0, 0]);
  const address = parseAddress(sockaddr);
  assert.ok(address);
  assert.deepEqual([address.port, address.scope, address.words.length], [53, 7, 4]);
  assert.deepEqual(addressBytes(AF.INET6, address), sockaddr);
  assert.equal(addressText(address.words), '102:304:506:708:90a:b0c:d0e:f10');
});

test('anything else is no address', () => {
  assert.equal(parseAddress(undefined), undefined);
  assert.equal(parseAddress(Buffer.from([1, 0, 0x2f, 0x61, 0, 0, 0, 0])), undefined);
  assert.ok(isAnyAddress([0, 0, 0, 0]) && !isAnyAddress([0, 0, 0, 1]));
});
