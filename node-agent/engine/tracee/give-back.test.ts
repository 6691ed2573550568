// The engine dies while it gives a thread back: from the first moment on the thread is the application's.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { buildVictim, startVictim } from '../../../test/victims/victim.ts';

/**
 * An engine that makes a bootstrap call in a program without a way back, and ends itself by SIGKILL at the stop after which the
 * thread would be let go. Where the call is to fault, it is sent to an address at which nothing is.
 */
const DYING_ENGINE = `
import { SYS } from '${new URL('../arch/x86-64.ts', import.meta.url).href}';
import { bootstrapCall } from '${new URL('./bootstrap-call.ts', import.meta.url).href}';
import { giveRegistersBack } from '${new URL('./give-back.ts', import.meta.url).href}';
import { TraceeError } from '${new URL('./remote-run.ts', import.meta.url).href}';
import { Tracer } from '${new URL('./tracer.ts', import.meta.url).href}';
const [pid, faults] = process.argv.slice(1);
const tracer = new Tracer();
const victim = tracer.seizeTree(Number(pid));
tracer.freeze(5000);
const { leader } = victim;
if (faults === 'faults') victim.bootstrapAddress = 4096n;
try {
  bootstrapCall(leader, SYS.getpid, []);
} catch (error) {
  if (!(error instanceof TraceeError)) throw error;
  process.stdout.write('faulted');
}
const { place } = leader;
Object.defineProperty(leader, 'place', {
  get: () => place,
  set: () => process.kill(process.pid, 'SIGKILL'),
});
giveRegistersBack(leader);
`;

for (const [call, output] of [
  ['has returned', ''],
  ['faults', 'faulted'],
] as const) {
  test(`it dies while it gives back a thread whose call ${call}`, async () => {
    using victim = await startVictim(buildVictim('counter'));
    const engine = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', DYING_ENGINE, String(victim.pid), call],
      { encoding: 'utf8' },
    );
    assert.equal(engine.signal, 'SIGKILL', engine.stderr);
    assert.equal(engine.stdout, output);
    victim.signal('SIGUSR1');
    assert.match(await victim.waitForLine(/^count/), /checksum same/);
    victim.signal('SIGTERM');
  });
}
