// redis-server as Debian ships it: 100 000 keys, and a client that writes without rest during the checkpoint.
import { randomBytes } from 'node:crypto';
import type { Application } from './application.ts';
import { type Check, check, gapsBetween, type SelfReport } from './check.ts';
import type { Kubectl } from './kubectl.ts';
import { pod } from './manifests.ts';

const KEYS = 100_000;
const CLIENT = 'redis-client';

/** Lua inside redis: every value is made of its key and a random word. */
const FILL = `for i = 1, ${KEYS} do redis.call('SET', 'key:' .. i, ARGV[1] .. ':' .. i) end return redis.call('DBSIZE')`;
const COUNT_RIGHT = `local right = 0
for i = 1, ${KEYS} do if redis.call('GET', 'key:' .. i) == ARGV[1] .. ':' .. i then right = right + 1 end end
return right`;

export interface RedisFacts {
  /** of the fill script's keys, those with their right value */
  readonly rightKeys: number;
  /** what the client has counted up to, as redis knows it */
  readonly count: number;
  /** the client when we began to look, and when we were done: counting keys keeps redis busy itself */
  readonly clientFirst: ClientReport;
  readonly client: ClientReport;
}

interface ClientReport extends SelfReport {
  readonly requests: number;
}

function askClient(kubectl: Kubectl): Promise<ClientReport> {
  return kubectl.ask(CLIENT, ['/usr/bin/python3', '/app/check.py', 'client']);
}

async function evaluate(
  kubectl: Kubectl,
  podName: string,
  script: string,
  word: string,
): Promise<number> {
  return Number(await kubectl.exec(podName, ['redis-cli', 'EVAL', script, '0', word]));
}

export function redis(): Application<RedisFacts> {
  const word = randomBytes(8).toString('hex');
  return {
    name: 'redis',
    about: `redis-server with ${KEYS} keys; a client counts up one key as fast as it can`,
    pods: (nodeName) => [
      pod({
        name: 'redis',
        image: 'demo/redis:dev',
        nodeName,
        readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
      }),
    ],
    async prepare(kubectl, nodeName) {
      const stored = await evaluate(kubectl, 'redis', FILL, word);
      const { status } = await kubectl.get<{ status: { podIP: string } }>('pod', 'redis');
      const command = ['/usr/bin/python3', '/app/client.py', status.podIP];
      const sketch = { name: CLIENT, image: 'demo/python:dev', nodeName, command };
      await kubectl.apply(JSON.stringify(pod(sketch)));
      await kubectl.run(['wait', '--for=condition=Ready', `pod/${CLIENT}`, '--timeout=60s']);
      return `${stored} keys stored; pod ${CLIENT} on ${nodeName} writes`;
    },
    async observe(kubectl, podName) {
      const clientFirst = await askClient(kubectl);
      const rightKeys = await evaluate(kubectl, podName, COUNT_RIGHT, word);
      const count = Number(await kubectl.exec(podName, ['redis-cli', 'GET', 'count']));
      return { rightKeys, count, clientFirst, client: await askClient(kubectl) };
    },
    gaps: (before, after) => gapsBetween(before.client, after.clientFirst),
    judgeSource: judgeRedisSource,
    async verifyRestored(kubectl, podName, before, after) {
      return judgeRestoredRedis(before, after, await this.observe(kubectl, podName));
    },
  };
}

export function judgeRedisSource(before: RedisFacts, after: RedisFacts): readonly Check[] {
  const { client } = after;
  return [
    check('client saw no error', client.errors.length === 0, client.errors),
    check(
      'client wrote on',
      client.requests > before.client.requests,
      `${before.client.requests} requests before, ${client.requests} after`,
    ),
  ];
}

/** The saved moment lies between the two looks at the source, so the restored count does too. */
export function judgeRestoredRedis(
  before: RedisFacts,
  after: RedisFacts,
  restored: RedisFacts,
): readonly Check[] {
  return [
    check(`all ${KEYS} keys`, restored.rightKeys === KEYS, `${restored.rightKeys} are right`),
    check(
      'count of the saved moment',
      restored.count >= before.count && restored.count <= after.count,
      `${restored.count} is not within ${before.count} and ${after.count}`,
    ),
    check(
      'client goes on',
      restored.client.errors.length === 0 && restored.client.requests > after.client.requests,
      restored.client.errors,
    ),
  ];
}
