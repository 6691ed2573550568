// What apt prints, understood.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseDepends, parseOffers } from './debian.ts';

test('dependencies of several packages, alternatives included, virtual ones left out', () => {
  const printed = `redis-server
  Depends: redis-tools
  PreDepends: <init>
 |Depends: libc6
  Depends: libc6.1
redis-tools
  Depends: libssl3
  Depends: perl:any
<init>
`;
  assert.deepEqual(
    [...parseDepends(printed)],
    [
      ['redis-server', ['redis-tools', 'libc6', 'libc6.1']],
      ['redis-tools', ['libssl3', 'perl']],
    ],
  );
});

test('what apt would download: name, file and checksum', () => {
  const sha256 = 'a'.repeat(64);
  const printed = `Reading package lists...
'mirror/redis-server_7.0.15-1_amd64.deb' redis-server_5%3a7.0.15-1_amd64.deb 73908 SHA256:${sha256}
`;
  assert.deepEqual(parseOffers(printed), [
    { name: 'redis-server', file: 'redis-server_5%3a7.0.15-1_amd64.deb', sha256 },
  ]);
});
