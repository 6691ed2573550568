import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SYS } from '../arch/x86-64.ts';
import { CallBatch } from './call-batch.ts';
import { closeFd, OwnedFd } from './descriptors.ts';
import { O, openPath } from './file-facts.ts';
import { SocketFacts } from './socket-facts.ts';
import { AF, intBytes, LEVEL, makeSocket, SO, SOCK, trySetOption } from './sockets.ts';

const EBADF = 9;
const NOBODY = 0x7fffffff;

test('a call uses what an earlier one gave, and goes on behind a failure', () => {
  const batch = new CallBatch(4, 16);
  batch.data.write('/dev/zero\0', 'latin1');
  batch.set(0, SYS.openat, 0, batch.at(0), 0, 0);
  batch.set(1, SYS.close, 0);
  batch.set(2, SYS.read, { call: 0 }, batch.at(0), 9);
  batch.set(3, SYS.close, { call: 0 });
  batch.setArgument(1, 0, NOBODY);
  batch.run(4);
  assert.ok(batch.result(0) > 2);
  assert.equal(batch.result(1), -EBADF);
  assert.equal(batch.result(2), 9);
  assert.equal(batch.data.toString('latin1', 0, 9), '\0'.repeat(9));
  assert.equal(batch.result(3), 0);
  batch.set(0, SYS.close, NOBODY);
  batch.run(2);
  assert.equal(batch.result(3), 0, 'only the first two ran again');
});

test('a socket tells what it is and what was set', () => {
  const fd = makeSocket(AF.INET, SOCK.DGRAM, 0);
  try {
    assert.equal(trySetOption(fd, LEVEL.SOCKET, SO.PRIORITY, intBytes(5)), 0);
    const facts = new SocketFacts(fd);
    assert.deepEqual([facts.domain, facts.type, facts.protocol], [AF.INET, SOCK.DGRAM, 17]);
    assert.equal(facts.integer('PRIORITY'), 5);
    assert.equal(facts.bytes('RCVTIMEO')?.length, 16);
    assert.equal(facts.hasFilter, false);
    assert.equal(facts.optional('PEEK_OFF'), -1);
  } finally {
    closeFd(fd);
  }
});

test('where no socket is, there are no options', () => {
  using file = new OwnedFd(openPath('/dev/null', O.RDONLY));
  const facts = new SocketFacts(file.fd);
  assert.equal(facts.optional('TYPE'), undefined);
  assert.equal(facts.domain, 0);
  assert.equal(facts.hasFilter, true, 'whoever reads it is told why not');
});
