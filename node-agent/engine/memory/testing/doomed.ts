// An engine that kills itself at one step of saving memory: `node doomed.ts PID DIRECTORY STEP`.
import { SYS } from '../../arch/x86-64.ts';
import { RemoteBatch } from '../../tracee/remote-batch.ts';
import { Session } from './session.ts';

const [, , pid, dir, step] = process.argv;
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('still alive');
};
const at = (name: string): void => {
  if (step === name) die();
};

const session = new Session(Number(pid), String(dir));
at('collected');
if (step === 'forked') {
  // What takeSnapshot does first, without the tracing options that follow
  const batch = new RemoteBatch(session.process.leader);
  batch.fork(SYS.clone, 0, 0, 0, 0, 0);
  batch.run();
  die();
}
let transfers = 0;
const dieInTheMiddle = (): void => {
  transfers += 1;
  if (transfers === 4) die();
};
if (step === 'pumping out of the original') session.savePages(dieInTheMiddle);
session.snapshot();
at('snapshot taken');
session.letGo();
at('thawed');
session.savePages(step === 'pumping out of the snapshot' ? dieInTheMiddle : undefined);
at('saved');
throw new Error(`no step ${step}`);
