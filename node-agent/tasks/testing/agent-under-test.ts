// An agent as a process of its own, to be killed: `node agent-under-test.ts '<json>'`. It can kill itself right
// before or right after it notes a step in its journal, which is exactly where a crash matters.
import { plainKubeConfig } from '../../../kube/kubeconfig.ts';
import { Client } from '../../../kube/client.ts';
import { JournalEntry, type JournalFacts, type JournalStep } from '../journal.ts';
import { type FakeNode, fakeTools } from './fake-tools.ts';
import { runAgent } from './run-agent.ts';

export interface AgentUnderTest {
  readonly server: string;
  readonly node: FakeNode;
  readonly journalFolder: string;
  readonly killAt?: { readonly when: 'before' | 'after'; readonly step: JournalStep };
}

const { server, node, journalFolder, killAt } = JSON.parse(process.argv[2] ?? '') as AgentUnderTest;

function killSelf(when: 'before' | 'after', step: JournalStep): void {
  if (killAt?.when === when && killAt.step === step) {
    process.kill(process.pid, 'SIGKILL');
  }
}

// eslint-disable-next-line typescript/unbound-method -- called with its own `this` below
const note = JournalEntry.prototype.note;
JournalEntry.prototype.note = async function (
  this: JournalEntry,
  step: JournalStep,
  facts?: JournalFacts,
): Promise<void> {
  killSelf('before', step);
  await note.call(this, step, facts);
  killSelf('after', step);
};

const stop = Promise.withResolvers<void>();
process.once('SIGTERM', () => stop.resolve());
await using _agent = await runAgent({
  client: new Client({ config: plainKubeConfig(server), fieldManager: 'diapause-agent' }),
  journalFolder,
  tools: fakeTools(node),
  drainMillis: 300,
});
await stop.promise;
