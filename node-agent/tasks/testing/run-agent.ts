// A TaskAgent over a bench, inside the test's own process.
import type { Client } from '../../../kube/client.ts';
import { Journal } from '../journal.ts';
import { TaskAgent } from '../task-agent.ts';
import type { Tools } from '../task-context.ts';
import type { Bench } from './bench.ts';
import { fakeTools, type FakeToolsOptions } from './fake-tools.ts';

export const FLOCK = '/usr/bin/flock';

export interface RunningAgent extends AsyncDisposable {
  readonly agent: TaskAgent;
  /** errors and notes that were logged */
  readonly log: readonly {
    readonly level: string;
    readonly message: string;
    readonly facts: object;
  }[];
}

export interface RunAgentOptions {
  readonly client: Client;
  readonly journalFolder: string;
  readonly tools: Omit<Tools, 'activeTasks'> & Disposable;
  readonly drainMillis?: number;
}

/** The agent of a bench's only node. */
export async function agentOn(bench: Bench, options: FakeToolsOptions = {}): Promise<RunningAgent> {
  return await runAgent({
    client: bench.api.client({ fieldManager: 'diapause-agent' }),
    journalFolder: bench.journalFolder,
    tools: fakeTools(bench, options),
  });
}

export async function runAgent(options: RunAgentOptions): Promise<RunningAgent> {
  const { client, journalFolder, tools, drainMillis = 1_000 } = options;
  const journal = await Journal.open({ folder: journalFolder, flockProgram: FLOCK });
  const log: { level: string; message: string; facts: object }[] = [];
  const write = (level: string) => (facts: object, message: string) => {
    log.push({ level, message, facts });
  };
  const agent = new TaskAgent({
    client,
    agent: { name: 'agent-1', uid: 'agent-uid' },
    tools,
    journal,
    log: { info: write('info'), error: write('error') },
    drainMillis,
  });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  return {
    agent,
    log,
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await running;
      tools[Symbol.dispose]();
      await journal.close();
      client.close();
    },
  };
}
