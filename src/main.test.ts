// Two controllers as they are deployed, against the test API server: one leads, and hands over when it is told to stop.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, describe, it } from 'node:test';
import type { Checkpoint } from '../crds/checkpoint.ts';
import { OPERATOR_NAMESPACE } from '../crds/names.ts';
import { findCondition } from '../kube/conditions.ts';
import { EVENTS } from '../kube/events.ts';
import { type Lease, LEASES } from '../kube/lease.ts';
import { FakeApiServer } from '../kube/testing/fake-api-server.ts';
import { testKubeconfig } from '../kube/testing/kubeconfig.ts';
import { until } from '../kube/testing/until.ts';
import { RESOURCE_TYPES } from './cluster/types.ts';
import { checkpoint, NAMESPACE } from './testing/builders.ts';

const folder = mkdtempSync(join(tmpdir(), 'diapause-main-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Programs start slowly on a busy machine. */
const PATIENCE_MILLIS = 60_000;
const CHECKPOINT = { namespace: NAMESPACE, name: 'of-a-pod-that-is-not-there' };
const LEASE = { namespace: OPERATOR_NAMESPACE, name: 'diapause-controller' };

const KINDS = [...Object.values(RESOURCE_TYPES), LEASES, EVENTS].map((type) => ({
  ...type,
  kind: `Kind of ${type.plural}`,
  selectable: ['involvedObject.uid', 'reason', 'spec.nodeName'],
}));

class Controller {
  readonly child: ChildProcess;
  log = '';

  constructor(name: string, kubeconfig: string) {
    const env = {
      ...process.env,
      KUBECONFIG: kubeconfig,
      POD_NAME: name,
      POD_UID: `uid-of-${name}`,
      HTTP_PORT: '0',
    };
    this.child = spawn(process.execPath, ['src/main.ts'], { env });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
  }

  async says(text: string): Promise<void> {
    await until(`${text} in ${this.log}`, () => this.log.includes(text), PATIENCE_MILLIS);
  }

  async answers(path: string): Promise<number> {
    const port = /"port":(\d+)/.exec(this.log)?.[1];
    return (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  }

  /** @returns exit code and how long it took */
  async stop(): Promise<{ readonly code: number | null; readonly millis: number }> {
    const began = performance.now();
    this.child.kill('SIGTERM');
    await once(this.child, 'close');
    return { code: this.child.exitCode, millis: performance.now() - began };
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
  }
}

describe('two controllers', () => {
  it('the leader ends what it is at, gives its lease back, and the other one takes over', async () => {
    await using server = await FakeApiServer.start({ kinds: KINDS });
    server.texts.set('/version', JSON.stringify({ gitVersion: 'v1.37.2' }));
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, testKubeconfig(server.url));
    const lease = (): Lease | undefined => server.peek<Lease>(LEASES, LEASE);

    using first = new Controller('first', kubeconfig);
    await first.says('"leading"');
    using second = new Controller('second', kubeconfig);
    await second.says('listening');
    assert.equal(await second.answers('/readyz'), 200, 'a standby is ready, too');
    assert.match(lease()?.spec?.holderIdentity ?? '', /^first_/);

    // 1. The leader is in the middle of writing a status ...
    const answer = Promise.withResolvers<void>();
    const held = { verb: 'apply', plural: 'checkpoints', times: 1 } as const;
    server.faults.add({ ...held, action: { type: 'wait', until: answer.promise } });
    const { apiVersion, kind, spec } = checkpoint();
    server.seed(RESOURCE_TYPES.checkpoints, { apiVersion, kind, metadata: CHECKPOINT, spec });
    const isWriting = (): boolean =>
      server.requests.some(({ verb, plural }) => verb === 'apply' && plural === 'checkpoints');
    await until('the status is being written', isWriting, PATIENCE_MILLIS);
    // 2. ... when it is told to stop, and the API server is slow to answer.
    const stopping = first.stop();
    await first.says('"stopping"');
    assert.ok(!second.log.includes('"leading"'), 'never two at a time');
    setTimeout(() => answer.resolve(), 300);
    const { code, millis } = await stopping;
    assert.equal(code, 0, first.log);
    // Work that is cut off would take the whole time that draining may last, 15 s.
    assert.ok(millis < 14_000, `${millis} ms`);
    assert.ok(!first.log.includes('abandoned'), first.log);
    const stored = server.peek<Checkpoint>(RESOURCE_TYPES.checkpoints, CHECKPOINT);
    assert.ok(findCondition(stored?.status?.conditions, 'Ready'), 'the write was not cut off');

    // 3. The other one need not wait until the lease runs out.
    await second.says('"leading"');
    assert.match(lease()?.spec?.holderIdentity ?? '', /^second_/);
    assert.equal((await second.stop()).code, 0, second.log);
    assert.equal(lease()?.spec?.holderIdentity ?? '', '');
  });
});
