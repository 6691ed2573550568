// Makes the unix sockets of a tree again, all at once: they need each other.
import { SYS } from '../../arch/x86-64.ts';
import { SkShutdown, UnixState } from '../../image/messages/enums.ts';
import type { UnixSkEntry } from '../../image/messages/sockets.ts';
import { FCNTL } from '../../linux/descriptors.ts';
import { O } from '../../linux/file-facts.ts';
import { inNetworkOf } from '../../linux/network-namespace.ts';
import { AF, SOCK } from '../../linux/sockets.ts';
import type { HeldFile } from './file-kind.ts';
import type { FileOpening } from './file-opening.ts';
import { SocketFiles } from './socket-file.ts';
import { type NewSocket, newSocket, settingsOf, writeSettings } from './socket-options.ts';
import {
  isDeleted,
  isListenerOf,
  isNamed,
  isOutside,
  planUnixSockets,
  socketPath,
  type UnixPlan,
  withoutNameless,
} from './unix-plan.ts';
import { MadeSocket, RemoteSockets } from './unix-remote.ts';
import { fillQueue } from './unix-refill.ts';

const BACKLOG = 16;

/** Everything of one tree. Names first, then who connects to them, then what is in the queues. */
export class UnixSockets {
  readonly #opening: FileOpening;
  readonly #remote: RemoteSockets;
  readonly #files: SocketFiles;
  readonly #entries: readonly UnixSkEntry[];
  readonly #byIno: ReadonlyMap<number, UnixSkEntry>;
  readonly #byId: ReadonlyMap<number, UnixSkEntry>;
  readonly #listeners: readonly UnixSkEntry[];
  readonly #made = new Map<UnixSkEntry, MadeSocket>();
  /** the other side of sockets whose peer is closed, and senders of queued datagrams: to be closed in the end */
  readonly #helpers = new Map<UnixSkEntry, MadeSocket>();
  readonly #bound = new Set<UnixSkEntry>();
  readonly #taken = new Set<number>();

  private constructor(opening: FileOpening) {
    this.#opening = opening;
    this.#remote = new RemoteSockets(opening);
    this.#files = new SocketFiles(opening.target);
    const all = [...opening.saved.entries.values()].flatMap(({ usk }) => (usk ? [usk] : []));
    // Where a descriptor takes the place of one side, the other is its caller's.
    const made = all.filter(({ id }) => !opening.isInherited(id));
    this.#entries = withoutNameless(
      made.filter((entry) => !isOutside(entry)),
      all,
    );
    this.#byIno = new Map(
      [...made.filter(isOutside), ...this.#entries].map((entry) => [entry.ino, entry]),
    );
    this.#byId = new Map(this.#entries.map((entry) => [entry.id, entry]));
    this.#listeners = this.#entries.filter(({ state }) => state === UnixState.LISTEN);
  }

  static open(opening: FileOpening): UnixSockets {
    const sockets = new UnixSockets(opening);
    sockets.#build();
    opening.whenPlaced(() => sockets.#closeUnheld());
    return sockets;
  }

  /** Who has it; from now on the caller's. */
  take(id: number): HeldFile {
    const entry = this.#byId.get(id);
    const made = entry && this.#made.get(entry);
    if (!made || this.#taken.has(id)) throw new Error(`unix socket ${id} was not made`);
    this.#taken.add(id);
    const { builder, number, closeOnExec, engineFd } = made;
    return { builder, number, closeOnExec, engineFd };
  }

  /** Sockets that only travel in a queue. */
  #closeUnheld(): void {
    for (const [{ id }, made] of this.#made) if (!this.#taken.has(id)) made.closeEngineFd();
  }

  #build(): void {
    const { saved } = this.#opening;
    const plans = planUnixSockets(this.#entries, ({ id }) => saved.queueOf(id).length > 0);
    this.#createPairs(plans);
    for (const plan of plans) this.#create(plan);
    const accepted = plans.filter((plan) => plan.kind === 'accepted');
    const named = this.#entries.filter((entry) => isNamed(entry));
    // What has lost its name goes first, one at a time: the name may be somebody else's by now.
    for (const entry of named.filter(isDeleted)) this.#bringToLife([entry], accepted);
    this.#bringToLife(
      named.filter((entry) => !isDeleted(entry)),
      accepted,
    );
    this.#finish();
  }

  /** Binds sockets, then lets everybody connect to them that did. */
  #bringToLife(named: readonly UnixSkEntry[], accepted: readonly Accepted[]): void {
    for (const entry of named) this.#bind(entry);
    for (const plan of accepted) {
      if (!this.#made.has(plan.server) && this.#isServed(plan.server, named)) this.#accept(plan);
    }
    for (const entry of this.#entries) this.#connectDatagrams(entry, named);
    for (const entry of named) this.#addSender(entry);
    this.#files.forget();
  }

  /** Is this the moment for an accepted socket: does its listener stand now, or is it gone and the name its own? */
  #isServed(server: UnixSkEntry, named: readonly UnixSkEntry[]): boolean {
    const listener = this.#listeners.find((entry) => isListenerOf(entry, server));
    return named.includes(listener ?? server);
  }

  #owner(entry: UnixSkEntry) {
    return this.#opening.ownerOf(entry.id);
  }

  #create(plan: UnixPlan): void {
    if (plan.kind !== 'single' && plan.kind !== 'accepted') return;
    const socket = plan.kind === 'single' ? plan.socket : plan.client;
    if (socket) this.#made.set(socket, this.#remote.socket(this.#owner(socket), socket.type));
  }

  #createPairs(plans: readonly UnixPlan[]): void {
    const paired = plans.filter((plan) => plan.kind === 'pair' || plan.kind === 'orphan');
    const wanted = paired.map((plan) => (plan.kind === 'pair' ? plan.a : plan.socket));
    const pairs = this.#remote.pairs(
      paired.map((plan, i) => {
        const entry = wanted[i]!;
        const both = plan.kind === 'pair' ? [plan.a, plan.b] : [plan.socket];
        const closeOnExec = both.some((one) => this.#closesOnExec(one));
        return { builder: this.#owner(entry), type: entry.type, closeOnExec };
      }),
    );
    paired.forEach((plan, i) => {
      const [socket, other] = pairs[i]!;
      this.#made.set(wanted[i]!, socket);
      if (plan.kind === 'pair') this.#made.set(plan.b, other);
      else this.#helpers.set(plan.socket, other);
    });
  }

  #closesOnExec({ id }: UnixSkEntry): boolean {
    return this.#opening.wantedOf(id)[0]?.closeOnExec ?? true;
  }

  /** A socket that was accepted gets its name with the connection, the others here. */
  #bind(entry: UnixSkEntry): void {
    const made = this.#made.get(entry);
    if (!made || this.#bound.has(entry)) return;
    this.#bound.add(entry);
    this.#bindTo(made, entry);
    if (entry.state === UnixState.LISTEN) this.#remote.listen(made, entry.backlog);
  }

  #bindTo(made: MadeSocket, entry: UnixSkEntry): void {
    const path = socketPath(entry);
    if (path !== undefined) {
      if (entry.deleted === true) this.#files.borrow(path);
      else this.#files.removeStale(path);
    }
    this.#remote.bind(made, entry);
    if (path !== undefined && entry.filePerms) {
      this.#files.setPermissions(path, entry.filePerms);
    }
  }

  #accept({ server, client }: Accepted): void {
    const owner = this.#owner(client ?? server);
    const connecting =
      (client && this.#made.get(client)) ?? this.#remote.socket(owner, server.type);
    if (client && isNamed(client)) this.#bind(client);
    const { listener, temporary } = this.#listenerOf(server);
    this.#remote.connect(connecting, server);
    this.#made.set(server, this.#remote.accept(listener));
    this.#bound.add(server);
    if (!client) this.#helpers.set(server, connecting);
    if (temporary) listener.closeEngineFd();
  }

  /** The tree's own listener of that name; where it is gone, one for the moment. */
  #listenerOf(server: UnixSkEntry): { listener: MadeSocket; temporary: boolean } {
    const own = this.#listeners.find((entry) => isListenerOf(entry, server));
    const made = own && this.#made.get(own);
    if (made) return { listener: made, temporary: false };
    const listener = this.#remote.socket(this.#owner(server), server.type);
    this.#bindTo(listener, server);
    this.#remote.listen(listener, BACKLOG);
    return { listener, temporary: true };
  }

  /** Datagram sockets that send to a name, unless they came to be as a pair. */
  #connectDatagrams(entry: UnixSkEntry, named: readonly UnixSkEntry[]): void {
    if (entry.type !== SOCK.DGRAM) return;
    const peer = entry.peer === 0 ? undefined : this.#byIno.get(entry.peer);
    const made = this.#made.get(entry);
    if (!peer || !made || !named.includes(peer)) return;
    if (peer === entry || peer.peer !== entry.ino) this.#remote.connect(made, peer);
  }

  /** Somebody must send again what lies in the queue of a named datagram socket. */
  #addSender(entry: UnixSkEntry): void {
    const queued = this.#opening.saved.queueOf(entry.id).length > 0;
    if (entry.type !== SOCK.DGRAM || entry.peer !== 0 || !queued) return;
    const sender = this.#remote.socket(this.#owner(entry), entry.type);
    this.#remote.connect(sender, entry);
    this.#helpers.set(entry, sender);
  }

  #finish(): void {
    for (const [entry, made] of this.#made) this.#setOptions(entry, made);
    this.#remote.flush();
    for (const entry of this.#made.keys()) {
      if (this.#opening.saved.queueOf(entry.id).length === 0) continue;
      const sender = this.#senderFor(entry);
      if (sender) fillQueue(entry, sender, this.#opening, (id) => this.#fdOf(id));
    }
    for (const helper of this.#helpers.values()) helper.closeEngineFd();
    for (const entry of this.#made.keys()) {
      this.#connectWaiting(entry);
      this.#connectOutside(entry);
    }
    this.#remote.closeRemote(new Set(this.#made.values()));
    for (const [{ shutdown }, made] of this.#made) {
      if (shutdown !== undefined && shutdown !== SkShutdown.NONE) made.shutDown(shutdown);
    }
  }

  #fdOf(id: number): number {
    const entry = this.#byId.get(id);
    const made = entry && this.#made.get(entry);
    return made?.fd ?? this.#opening.engineFd(id);
  }

  /** By the engine, with its rights; most sockets have none that a new one has not. */
  #setOptions(entry: UnixSkEntry, made: MadeSocket): void {
    const { builder } = made;
    this.#remote.give(made, entry.id);
    const settings = settingsOf(entry.opts, this.#newSocket(entry.type));
    const lost = settings.length === 0 ? [] : writeSettings(made.fd, settings);
    for (const { option, errno } of lost) {
      builder.report({
        code: 'SocketOption',
        severity: 'loss',
        pid: builder.saved.pid,
        object: `unix socket, option ${option}`,
        advice: `the kernel refuses it here (${errno})`,
      });
    }
    if (entry.flags & O.NONBLOCK) made.must(SYS.fcntl, FCNTL.F_SETFL, O.RDWR | O.NONBLOCK);
  }

  #newSocket(type: number): NewSocket {
    const { options } = this.#opening;
    return this.#opening.once(`new unix socket ${type}`, () =>
      inNetworkOf(options.networkPid, () => newSocket(AF.UNIX, type, 0)),
    );
  }

  /** Who sends into a socket's queue: its peer, or a helper. */
  #senderFor(
    entry: UnixSkEntry,
  ): { fd: number; opts: UnixSkEntry['opts'] | undefined } | undefined {
    const helper = this.#helpers.get(entry);
    if (helper) return { fd: helper.fd, opts: undefined };
    const peer = this.#byIno.get(entry.peer);
    const made = peer?.peer === entry.ino ? this.#made.get(peer) : undefined;
    return peer && made ? { fd: made.fd, opts: peer.opts } : undefined;
  }

  /** A datagram socket sends on to whoever has the name of its peer here. */
  #connectOutside(entry: UnixSkEntry): void {
    const peer = this.#byIno.get(entry.peer);
    const made = this.#made.get(entry);
    if (peer && made && isOutside(peer)) this.#remote.connectOutside(made, peer);
  }

  /** Connections that nobody has accepted yet come last: they must stay in the listener's queue. */
  #connectWaiting(entry: UnixSkEntry): void {
    const listener = this.#byIno.get(entry.peer);
    const made = this.#made.get(entry);
    if (made && listener?.state === UnixState.LISTEN) this.#remote.connect(made, listener);
  }
}

type Accepted = Extract<UnixPlan, { readonly kind: 'accepted' }>;
