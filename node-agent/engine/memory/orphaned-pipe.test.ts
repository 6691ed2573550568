// The engine dies while pages come out of an original by a pipe: the process closes both ends, and nothing of its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { descriptorsOf, mustHaveOpen } from '../../../test/victims/health.ts';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

/** An engine that ends itself by SIGKILL around one of its batches: they make the pipe, close its one end, and its other. */
const DYING_ENGINE = `
import { likelyWayBack } from '${new URL('../tracee/way-back.ts', import.meta.url).href}';
import { PagePump } from '${new URL('./page-pump.ts', import.meta.url).href}';
import { DUMP_LEADER, Resident, SMALL_SLOT } from '${new URL('../tracee/resident.ts', import.meta.url).href}';
import { Tracer } from '${new URL('../tracee/tracer.ts', import.meta.url).href}';
const [pid, batch, moment] = process.argv.slice(1);
const tracer = new Tracer();
const victim = tracer.seizeTree(Number(pid));
victim.wayBack = likelyWayBack(victim.pid).wayBack;
tracer.freeze(5000);
Resident.map(victim, { leader: DUMP_LEADER, thread: SMALL_SLOT, threads: victim.threads.size });
const { leader } = victim;
let begun = 0;
const dieAt = (now) => {
  if (begun === Number(batch) && now === moment) process.kill(process.pid, 'SIGKILL');
};
const save = leader.saveBeforeUse.bind(leader);
leader.saveBeforeUse = () => {
  begun++;
  dieAt('is to be written');
  save();
};
const send = leader.sendTo.bind(leader);
leader.sendTo = (registers, mask) => {
  dieAt('is to begin');
  send(registers, mask);
  dieAt('runs');
};
new PagePump(victim, () => {})[Symbol.dispose]();
`;

for (const batch of [1, 2, 3]) {
  for (const moment of ['is to be written', 'is to begin', 'runs']) {
    test(`it dies when batch ${batch} of 3 ${moment}`, async () => {
      using victim = await startVictim(buildVictim('counter'));
      const before = descriptorsOf(victim.pid);
      const engine = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', DYING_ENGINE, String(victim.pid), String(batch), moment],
        { encoding: 'utf8' },
      );
      assert.equal(engine.signal, 'SIGKILL', engine.stderr);
      await mustHaveOpen(victim, before);
      victim.signal('SIGUSR1');
      assert.match(await victim.waitForLine(/^count/), /checksum same/);
      victim.signal('SIGTERM');
    });
  }
}
