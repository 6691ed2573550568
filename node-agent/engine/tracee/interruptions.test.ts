// Threads in 29 kinds of blocking calls are stopped by an engine that gives up, fails or dies: none of them hears of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { buildVictim, startVictim, type Victim } from '../../../test/victims/victim.ts';
import { SYS } from '../arch/x86-64.ts';
import { interruption } from './restart.ts';
import { Tracer, UnstoppableError } from './tracer.ts';

const KINDS = 29;
/** The calls that give up by themselves, in their own time. */
const TIMED = 16;
const SLEEP_MILLIS = 2000;
const TRIES = 40;
const WAIT_MILLIS = 30_000;

const importing = (names: string, from: string): string =>
  `import { ${names} } from '${new URL(from, import.meta.url).href}';\n`;

const HEAD =
  importing('Tracer, UnstoppableError', './tracer.ts') +
  importing('sleepMillis', './deadline.ts') +
  importing('syscall', '../linux/ffi.ts') +
  importing('SYS', '../arch/x86-64.ts') +
  importing('bootstrapCall', './bootstrap-call.ts') +
  `
const pid = Number(process.argv[1]);
const tracer = new Tracer();
const victim = tracer.seizeTree(pid);
`;

const GIVES_UP = `
for (let i = 0; i < ${TRIES}; i++) {
  try {
    tracer.freeze(0);
    tracer.thaw();
  } catch (error) {
    if (!(error instanceof UnstoppableError)) throw error;
  }
  tracer.pump();
}`;

const ENDS: Readonly<Record<string, string>> = {
  'stops them and dies': `tracer.freeze(1000); process.kill(process.pid, 'SIGKILL');`,
  'gives up while it stops them, again and again': `${GIVES_UP} tracer.releaseAll();`,
  'gives up and dies': `${GIVES_UP} process.kill(process.pid, 'SIGKILL');`,
  'dies when each has its registers back behind a call of ours': `
tracer.freeze(1000);
for (const thread of tracer.threads) {
  bootstrapCall(thread, SYS.getpid, []);
  thread.writeBack();
}
process.kill(process.pid, 'SIGKILL');`,
  'releases them before it has stopped them': 'tracer.releaseAll();',
  'watches while signals come that nobody handles': `
for (const { tid } of tracer.threads) {
  for (const signal of [17, 18, 23, 28]) syscall(SYS.tgkill, pid, tid, signal);
}
for (let i = 0; i < 50; i++) { tracer.pump(); sleepMillis(1); }
tracer.releaseAll();`,
};

async function until(what: () => string, done: () => boolean): Promise<void> {
  for (const end = Date.now() + WAIT_MILLIS; !done(); ) {
    if (Date.now() > end) throw new Error(what());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const answered = (victim: Victim): number =>
  victim.output().match(/^(ok|WRONG) \w+ result/gm)?.length ?? 0;

async function mustAnswerRight(victim: Victim): Promise<void> {
  await until(
    () => victim.output(),
    () => answered(victim) >= TIMED,
  );
  victim.signal('SIGUSR1');
  await until(
    () => victim.output(),
    () => answered(victim) >= KINDS,
  );
  victim.signal('SIGTERM');
  const verdict = await victim.waitForLine(/^verdict/);
  assert.equal(verdict, `verdict wrong 0 done ${KINDS} of ${KINDS}`, victim.output());
}

describe('an engine', () => {
  for (const [what, script] of Object.entries(ENDS)) {
    test(what, async () => {
      using victim = await startVictim(buildVictim('restarts'), [String(SLEEP_MILLIS)]);
      const { stderr, status, signal } = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', HEAD + script, String(victim.pid)],
        { encoding: 'utf8' },
      );
      assert.ok(status === 0 || signal === 'SIGKILL', stderr);
      await mustAnswerRight(victim);
    });
  }
});

test('a call that was stopped before is still known by its name', async () => {
  using victim = await startVictim(buildVictim('restarts'), [String(SLEEP_MILLIS)]);
  const tracer = new Tracer();
  const application = tracer.seizeTree(victim.pid);
  const interrupted = (): Map<number, number> => {
    const calls = new Map<number, number>();
    for (const thread of application.threads.values()) {
      const state = interruption(thread.namedRegisters);
      if (state.kind === 'restart-block') calls.set(thread.tid, state.call);
    }
    return calls;
  };
  tracer.freeze(1000);
  const first = interrupted();
  assert.ok(first.size > 0);
  assert.ok(![...first.values()].includes(SYS.restart_syscall));
  for (let i = 0; i < TRIES; i++) {
    tracer.thaw();
    try {
      tracer.freeze(i % 2 === 0 ? 0 : 1000);
    } catch (error) {
      if (!(error instanceof UnstoppableError)) throw error;
    }
  }
  tracer.freeze(1000);
  assert.deepEqual(interrupted(), first);
  tracer.releaseAll();
  await mustAnswerRight(victim);
});
