// What stands in the way of a listener or a connection that is to be made again. Pure.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../linux/connection-lock.ts';
import { parseTcpTable } from '../linux/procfs/tcp-table.ts';
import { judgePairs, lingeringPorts } from './lingering.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
/** 127.0.0.1:8100, listening; a connection of its own; its end that lingers. */
const V4 = `${HEAD}
   0: 0100007F:1FA4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 71 1 0 100 0 0 10 0
   1: 0100007F:1FA4 0100007F:A7FC 01 00000000:00000000 00:00000000 00000000     0        0 72 1 0 100 0 0 10 0
   2: 0100007F:A7FD 0100007F:1FA4 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100 0 0 10 0
`;
/** ::ffff:127.0.0.1:8100 -> ::ffff:127.0.0.1:43006 */
const V6 = `${HEAD}
   0: 0000000000000000FFFF00000100007F:1FA4 0000000000000000FFFF00000100007F:A7FE 01 00000000:00000000 00:00000000 00000000     0        0 73 1 0 100 0 0 10 0
`;
const ROWS = [...parseTcpTable(V4), ...parseTcpTable(V6)];

const between = (localPort: number, remotePort: number): Connection => {
  const address = '127.0.0.1';
  return { family: 4, local: address, localPort, remote: address, remotePort };
};

test('a port lingers when a closed connection is on it, not when one is open', () => {
  assert.deepEqual([...lingeringPorts(ROWS)], [0xa7fd]);
});

test('addresses are free when nobody has them, or only who ends', () => {
  const wanted = [between(8100, 0xa7fc), between(8100, 0xa7fe), between(8100, 0xa7ff)];
  assert.deepEqual(judgePairs(wanted, ROWS, new Set([72n, 73n])), []);
  const found = judgePairs([...wanted, between(0xa7fd, 8100)], ROWS, new Set([72n]));
  assert.deepEqual(
    found.map(({ code, severity, object }) => `${severity} ${code} ${object}`),
    [
      'refusal ConnectionLingers connection 127.0.0.1:8100 -> 127.0.0.1:43006',
      'refusal ConnectionLingers connection 127.0.0.1:43005 -> 127.0.0.1:8100',
    ],
  );
});
