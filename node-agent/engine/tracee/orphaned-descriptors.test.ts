// The engine dies while a thread has a descriptor of ours: the thread closes it, once, and none of its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { descriptorsOf, mustHaveOpen } from '../../../test/victims/health.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

/**
 * An engine that ends itself by SIGKILL when the last batch is written but not begun, or begun. That batch closes a duplicate of
 * descriptor 1 and opens another one, which gets the same number.
 */
const DYING_ENGINE = `
import { SYS } from '${new URL('../arch/x86-64.ts', import.meta.url).href}';
import { RemoteBatch } from '${new URL('./remote-batch.ts', import.meta.url).href}';
import { DUMP_LEADER, Resident, SMALL_SLOT } from '${new URL('./resident.ts', import.meta.url).href}';
import { Tracer } from '${new URL('./tracer.ts', import.meta.url).href}';
const [pid, batch, moment] = process.argv.slice(1);
const tracer = new Tracer();
const victim = tracer.seizeTree(Number(pid));
tracer.freeze(5000);
Resident.map(victim, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads: victim.threads.size });
const { leader } = victim;
const nothing = new RemoteBatch(leader);
nothing.must(SYS.getpid);
nothing.run();
const F_DUPFD = 0;
const dieNow = () => process.kill(process.pid, 'SIGKILL');
const die = () => {
  const send = leader.sendTo.bind(leader);
  leader.sendTo = (registers, mask) => {
    if (moment === 'begun') send(registers, mask);
    dieNow();
  };
};
const making = new RemoteBatch(leader);
const made = making.call(SYS.fcntl, 1, F_DUPFD, 0);
making.ifOrphaned(SYS.close, made);
if (batch === 'making') die();
making.run();
if (batch === 'between') dieNow();
const closing = new RemoteBatch(leader);
closing.closeOnce(made.number);
closing.must(SYS.fcntl, 1, F_DUPFD, 0);
die();
closing.run();
`;

const lowestFree = (descriptors: readonly string[]): number => {
  const taken = new Set(descriptors.map((line) => Number.parseInt(line, 10)));
  return [...taken.keys(), taken.size].map((_, i) => i).find((fd) => !taken.has(fd)) ?? 0;
};

const SCENES = [
  { batch: 'making', moment: 'written', left: 'nothing' },
  { batch: 'making', moment: 'begun', left: 'nothing' },
  { batch: 'between', moment: '', left: 'nothing' },
  { batch: 'closing', moment: 'written', left: 'nothing' },
  { batch: 'closing', moment: 'begun', left: 'the one opened since' },
] as const;

for (const { batch, moment, left } of SCENES) {
  test(`killed ${moment ? `when the ${batch} batch was ${moment}` : 'between two batches'}: ${left} is left`, async () => {
    using victim = await startVictim(buildVictim('counter'));
    const before = descriptorsOf(victim.pid);
    const engine = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', DYING_ENGINE, String(victim.pid), batch, moment],
      { encoding: 'utf8' },
    );
    assert.equal(engine.signal, 'SIGKILL', engine.stderr);
    const [output] = before.filter((line) => line.startsWith('1 '));
    const opened = output?.replace(/^1/, String(lowestFree(before))) ?? '';
    const wanted = left === 'nothing' ? before : [...before, opened].toSorted();
    await mustHaveOpen(victim, wanted);
    victim.signal('SIGUSR1');
    assert.match(await victim.waitForLine(/^count/), /checksum same/);
    victim.signal('SIGTERM');
  });
}
