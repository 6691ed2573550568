// The states of a TCP connection, and what each says about the ends of its two streams; RFC 9293, 3.3.2.

export const TCP_STATE = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
} as const;

const S = TCP_STATE;
const set = (...states: number[]): ReadonlySet<number> => new Set(states);
const CONNECTED = set(
  ...[S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.CLOSE_WAIT, S.LAST_ACK, S.CLOSING],
);
const FIN_SENT = set(S.FIN_WAIT1, S.FIN_WAIT2, S.LAST_ACK, S.CLOSING);
const FIN_UNACKNOWLEDGED = set(S.FIN_WAIT1, S.LAST_ACK, S.CLOSING);
const FIN_RECEIVED = set(S.CLOSE_WAIT, S.LAST_ACK, S.CLOSING);

export const isConnected = (state: number): boolean => CONNECTED.has(state);
/** We ended our stream. */
export const finSent = (state: number): boolean => FIN_SENT.has(state);
/** ... and the other side has not said yet that it knows. */
export const finUnacknowledged = (state: number): boolean => FIN_UNACKNOWLEDGED.has(state);
/** The other side ended its stream. */
export const finReceived = (state: number): boolean => FIN_RECEIVED.has(state);
