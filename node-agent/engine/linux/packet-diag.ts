// What only the kernel's own list tells of packet sockets: memberships and rings; include/uapi/linux/packet_diag.h.
import { attributesOf, listSockets } from './sock-diag.ts';
import { AF } from './sockets.ts';

const REQUEST_BYTES = 20;
const MESSAGE_BYTES = 16;
/** PACKET_SHOW_INFO, MCLIST, RING_CFG, FANOUT */
const SHOW = 1 | 2 | 4 | 8;
const ATTRIBUTE = { INFO: 0, MCLIST: 1, RX_RING: 2, TX_RING: 3, FANOUT: 4 } as const;
/** Bits of `pdi_flags`. */
const FLAG = { RUNNING: 1, AUXDATA: 2, ORIGDEV: 4, VNETHDR: 8, LOSS: 16 } as const;
/** pdmc_index, pdmc_count, pdmc_type, pdmc_alen, pdmc_addr */
const MEMBERSHIP_BYTES = 44;

export interface PacketMembership {
  readonly index: number;
  readonly type: number;
  readonly address: Buffer;
}

/** `struct tpacket_req3`. */
export interface PacketRingFacts {
  readonly blockSize: number;
  readonly blockNr: number;
  readonly frameSize: number;
  readonly frameNr: number;
  readonly retireTmo: number;
  readonly sizeofPriv: number;
  readonly features: number;
}

export interface PacketSocketFacts {
  readonly index: number;
  readonly version: number;
  readonly reserve: number;
  readonly copyThresh: number;
  readonly timestamp: number;
  readonly auxData: boolean;
  readonly origDev: boolean;
  readonly vnetHdr: boolean;
  readonly loss: boolean;
  readonly memberships: readonly PacketMembership[];
  readonly rxRing?: PacketRingFacts;
  readonly txRing?: PacketRingFacts;
  /** group in the lower half, mode and flags above */
  readonly fanout?: number;
}

/** All packet sockets of the caller's network namespace, by inode (CONFIG_PACKET_DIAG). */
export function packetSockets(): Map<number, PacketSocketFacts> {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt8(AF.PACKET, 0);
  request.writeUInt32LE(SHOW, 8);
  request.writeBigUInt64LE(0xffffffffffffffffn, 12); // no cookie
  const found = new Map<number, PacketSocketFacts>();
  listSockets(request, (body) => {
    found.set(body.readUInt32LE(4), parseFacts(attributesOf(body, MESSAGE_BYTES)));
  });
  return found;
}

function parseFacts(attributes: ReadonlyMap<number, Buffer>): PacketSocketFacts {
  const info = attributes.get(ATTRIBUTE.INFO) ?? Buffer.alloc(24);
  const flags = info.readUInt32LE(20);
  const rxRing = ringOf(attributes.get(ATTRIBUTE.RX_RING));
  const txRing = ringOf(attributes.get(ATTRIBUTE.TX_RING));
  const fanout = attributes.get(ATTRIBUTE.FANOUT)?.readUInt32LE(0);
  return {
    index: info.readUInt32LE(0),
    version: info.readUInt32LE(4),
    reserve: info.readUInt32LE(8),
    copyThresh: info.readUInt32LE(12),
    timestamp: info.readUInt32LE(16),
    auxData: (flags & FLAG.AUXDATA) !== 0,
    origDev: (flags & FLAG.ORIGDEV) !== 0,
    vnetHdr: (flags & FLAG.VNETHDR) !== 0,
    loss: (flags & FLAG.LOSS) !== 0,
    memberships: membershipsOf(attributes.get(ATTRIBUTE.MCLIST)),
    ...(rxRing && { rxRing }),
    ...(txRing && { txRing }),
    ...(fanout !== undefined && { fanout }),
  };
}

function ringOf(ring: Buffer | undefined): PacketRingFacts | undefined {
  if (!ring) return undefined;
  const at = (word: number): number => ring.readUInt32LE(word * 4);
  return {
    blockSize: at(0),
    blockNr: at(1),
    frameSize: at(2),
    frameNr: at(3),
    retireTmo: at(4),
    sizeofPriv: at(5),
    features: at(6),
  };
}

function membershipsOf(list: Buffer | undefined): PacketMembership[] {
  if (!list) return [];
  return Array.from({ length: Math.floor(list.length / MEMBERSHIP_BYTES) }, (_, i) => {
    const one = list.subarray(i * MEMBERSHIP_BYTES);
    const length = one.readUInt16LE(10);
    return {
      index: one.readUInt32LE(0),
      type: one.readUInt16LE(8),
      address: Buffer.from(one.subarray(12, 12 + length)),
    };
  });
}
