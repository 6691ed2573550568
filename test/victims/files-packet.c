// Packet sockets: bound to the loopback, with a membership, a fan-out group and a mapped ring that still receives.
// SIGTERM verifies. Traffic goes over loopback only.
#include "descriptors.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { LOOPBACK = 1, RESERVE = 8, GROUP = 13, FRAME = 2048, FRAMES = 2, RING = FRAME * FRAMES };

static int ring_socket, grouped;
static char *ring;


static void option(int fd, int name, int value) { must(setsockopt(fd, SOL_PACKET, name, &value, sizeof value)); }

static int value_of(int fd, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_PACKET, name, &value, &size) ? -1 : value;
}

static const struct packet_mreq promiscuous = {.mr_ifindex = LOOPBACK, .mr_type = PACKET_MR_PROMISC};

static void set_up(void) {
    struct sockaddr_ll name = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = LOOPBACK};
    ring_socket = (int)must(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0));
    option(ring_socket, PACKET_VERSION, TPACKET_V2);
    option(ring_socket, PACKET_AUXDATA, 1);
    option(ring_socket, PACKET_RESERVE, RESERVE);
    const struct tpacket_req request = {
        .tp_block_size = RING, .tp_block_nr = 1, .tp_frame_size = FRAME, .tp_frame_nr = FRAMES};
    must(setsockopt(ring_socket, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED, ring_socket, 0);
    expect(ring != MAP_FAILED);
    must(setsockopt(ring_socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous));
    must(bind(ring_socket, (struct sockaddr *)&name, sizeof name));
    grouped = (int)must(socket(AF_PACKET, SOCK_DGRAM, 0));
    name.sll_protocol = htons(ETH_P_ARP);
    must(bind(grouped, (struct sockaddr *)&name, sizeof name));
    option(grouped, PACKET_ORIGDEV, 1);
    option(grouped, PACKET_FANOUT, GROUP);
}

static bool receives(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    const int sender = (int)must(socket(AF_INET, SOCK_DGRAM, 0));
    must(sendto(sender, "hello, ring", 11, 0, (struct sockaddr *)&to, sizeof to));
    close(sender);
    const volatile struct tpacket2_hdr *const frame = (void *)ring;
    for (int tries = 0; tries < 100 && !(frame->tp_status & TP_STATUS_USER); tries++) usleep(20000);
    return memmem(ring, RING, "hello, ring", 11) != NULL;
}

static void verify(void) {
    expect(value_of(ring_socket, PACKET_VERSION) == TPACKET_V2);
    expect(value_of(ring_socket, PACKET_AUXDATA) == 1);
    expect(value_of(ring_socket, PACKET_RESERVE) == RESERVE);
    expect(fcntl(ring_socket, F_GETFL) & O_NONBLOCK);
    expect(!setsockopt(ring_socket, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &promiscuous, sizeof promiscuous));
    struct sockaddr_ll name = {0};
    socklen_t size = sizeof name;
    expect(!getsockname(ring_socket, (struct sockaddr *)&name, &size));
    expect(name.sll_ifindex == LOOPBACK && name.sll_protocol == htons(ETH_P_IP));
    expect(receives());
    expect(value_of(grouped, PACKET_ORIGDEV) == 1);
    expect((value_of(grouped, PACKET_FANOUT) & 0xffff) == GROUP);
}

int main(void) {
    block_term();
    set_up();
    wait_for_term();
    verify();
    return verdict();
}
