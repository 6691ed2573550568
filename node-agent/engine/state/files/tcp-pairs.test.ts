// Who belongs to whom, and what two looks at a connection say of its bytes. Pure.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TcpStreamEntry } from '../../image/messages/sockets.ts';
import type { Connection } from '../../linux/connection-lock.ts';
import { connectionText, isSame, type Look, pairsOf, settle } from './tcp-pairs.ts';
import { TCP_STATE } from './tcp-state.ts';

const socket = (localPort: number, remotePort: number, remote = '127.0.0.1') => {
  const family = 4 as const;
  return { connection: { family, local: '127.0.0.1', localPort, remote, remotePort } };
};

test('two sides find each other by their addresses', () => {
  const [a, b, stranger, self] = [
    socket(80, 4000),
    socket(4000, 80),
    socket(80, 4001, '10.0.0.9'),
    socket(90, 90),
  ];
  const { pairs, alone } = pairsOf([a!, stranger!, self!, b!]);
  assert.deepEqual(pairs, [[a, b]]);
  assert.deepEqual(alone, [stranger, self]);
});

test('a connection as people read it', () => {
  assert.equal(
    connectionText(socket(80, 4000, '10.0.0.9').connection),
    '127.0.0.1:80 -> 10.0.0.9:4000',
  );
  const six: Connection = {
    family: 6,
    local: '::1',
    localPort: 80,
    remote: 'fd00::9',
    remotePort: 1,
  };
  assert.equal(connectionText(six), '[::1]:80 -> [fd00::9]:1');
});

const NEGOTIATED = { optMask: 7, sndWscale: 7, mssClamp: 65495 };

/** A side with these bytes received and not acknowledged; numbers are those behind the last byte. */
function look(
  received: string,
  inqSeq: number,
  sending: string,
  outqSeq: number,
  more: Partial<TcpStreamEntry> & { readonly state?: number } = {},
): Look {
  const { state = TCP_STATE.ESTABLISHED, ...rest } = more;
  const [inqLen, outqLen] = [received.length, sending.length];
  const entry = { inqLen, inqSeq, outqLen, outqSeq, ...NEGOTIATED, ...rest };
  return { state, stream: { entry, bytes: Buffer.from(received + sending) } };
}

const contentOf = (sides: ReturnType<typeof settle>): string[] | undefined =>
  sides?.map(({ entry, bytes }) => {
    assert.equal(entry.paired, true);
    assert.equal(entry.unsqLen, entry.outqLen);
    return [bytes.subarray(0, entry.inqLen), bytes.subarray(entry.inqLen)].map(String).join('|');
  });

test('what has arrived is acknowledged, what has not was never sent', () => {
  for (const [what, a, b, is] of [
    ['nothing under way', look('', 500, '', 1000), look('abc', 1000, '', 500), ['|', 'abc|']],
    [
      'arrived, not acknowledged',
      look('', 500, 'abc', 1000),
      look('abc', 1000, '', 500),
      ['|', 'abc|'],
    ],
    [
      'half of it arrived',
      look('', 500, 'abcdef', 1000),
      look('abc', 997, '', 500),
      ['|def', 'abc|'],
    ],
    ['lost', look('', 500, 'abc', 1000), look('', 997, 'xy', 502), ['|abc', '|xy']],
    ['around the end of numbers', look('', 500, 'abc', 2), look('a', 0, '', 500), ['|bc', 'a|']],
  ] as const) {
    assert.deepEqual(contentOf(settle(a, b)), is, what);
  }
});

test('an end of a stream counts as a byte that no queue holds', () => {
  const { FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT } = TCP_STATE;
  const heard = look('abc', 1001, '', 500, { state: CLOSE_WAIT });
  assert.deepEqual(contentOf(settle(look('', 500, '', 1001, { state: FIN_WAIT2 }), heard)), [
    '|',
    'abc|',
  ]);
  const unheard = look('a', 998, '', 500);
  assert.deepEqual(contentOf(settle(look('', 500, 'abc', 1001, { state: FIN_WAIT1 }), unheard)), [
    '|bc',
    'a|',
  ]);
});

test('a side that was looked at too late fits no more', () => {
  assert.equal(settle(look('', 500, 'c', 1000), look('', 997, '', 500)), undefined);
  assert.equal(settle(look('', 500, '', 1000), look('', 1003, '', 500)), undefined);
});

test('the window counts from what is acknowledged', () => {
  const settled = settle(look('', 500, 'abcd', 1000, { sndWnd: 10 }), look('abc', 999, '', 500));
  assert.equal(settled?.[0].entry.sndWnd, 7);
});

test('two looks are the same when no number has moved', () => {
  const first = look('abc', 1000, 'x', 500);
  assert.ok(isSame(first, look('abc', 1000, 'x', 500)));
  for (const other of [
    look('abc', 1001, 'x', 500),
    look('abcd', 1000, 'x', 500),
    look('abc', 1000, '', 500),
    look('abc', 1000, 'x', 500, { state: TCP_STATE.CLOSE_WAIT }),
  ]) {
    assert.ok(!isSame(first, other));
  }
});
