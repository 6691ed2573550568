// How servers are asked to count, one request at a time, and what they answer.

export interface Answer {
  /** NaN: it is none */
  readonly count: number;
  /** where the next answer begins */
  readonly end: number;
}

export interface Protocol {
  /** what is counted belongs to the connection, whatever its name */
  readonly countsAnew?: boolean;
  /** One request: count what was asked for this name. */
  ask(name: string): string;
  /** @returns undefined as long as the answer is not whole */
  read(received: string): Answer | undefined;
}

const line =
  (pattern: RegExp) =>
  (received: string): Answer | undefined => {
    const end = received.indexOf('\n') + 1;
    if (end === 0) return undefined;
    return { count: Number(pattern.exec(received.slice(0, end))?.[1] ?? Number.NaN), end };
  };

export const http: Protocol = {
  ask: (name) => `GET /${name} HTTP/1.1\r\nHost: counting\r\n\r\n`,
  read(received) {
    const body = received.indexOf('\r\n\r\n') + 4;
    if (body < 4) return undefined;
    const head = received.slice(0, body);
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
    const end = body + length;
    if (received.length < end) return undefined;
    const isGood = head.startsWith('HTTP/1.1 200 ') && length > 0;
    return { count: isGood ? Number(received.slice(body, end)) : Number.NaN, end };
  },
};

/** nginx itself, with the variable that it counts a connection's requests in. */
export const nginx: Protocol = { ...http, countsAnew: true };

export const redis: Protocol = {
  ask: (name) => `INCR ${name}\r\n`,
  read: line(/^:(\d+)\r$/m),
};

/** Arithmetic that makes the item where there is none. */
export const memcached: Protocol = {
  ask: (name) => `ma ${name} N0 J1 v\r\n`,
  read(received) {
    const whole = /^(?:VA \d+\r\n(\d+)|(?!VA).*)\r\n/.exec(received);
    return whole ? { count: Number(whole[1] ?? Number.NaN), end: whole[0].length } : undefined;
  },
};

/** The program `mariadb` at its standard input; needs a table `counts` with a key and a number. */
export const mariadb: Protocol = {
  ask: (name) =>
    `insert into counts values ('${name}', 1) on duplicate key update n = n + 1 returning n;\n`,
  read: line(/^(\d+)$/m),
};

/** The same for the program `psql`. */
export const postgres: Protocol = {
  ask: (name) =>
    `insert into counts values ('${name}', 1) on conflict (name) do update set n = counts.n + 1 returning n;\n`,
  read: line(/^(\d+)$/m),
};

/** 0: every transaction of pgbench adds the same amount to all four. */
export const PGBENCH_DIFFERENT_SUMS = `select count(*) - 1 from (
  select sum(abalance) from pgbench_accounts union select sum(tbalance) from pgbench_tellers union
  select sum(bbalance) from pgbench_branches union select sum(delta) from pgbench_history) sums`;
