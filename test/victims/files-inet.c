// TCP and UDP: listeners, unconnected sockets, datagrams over loopback; with an argument also established connections.
// usage: files-inet [connections [kept]]; SIGTERM verifies. Traffic goes over loopback only.
#include "descriptors.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <linux/icmp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int listener, listener6, go_listener, bound, fresh, udp, udp_sender, udp_unbound, server[2], client[2], set;
static int busy, first_waiting, unanswered;
static int queued, queued6, lite, raw, routes;
static struct sockaddr_in at, udp_at;
static in_port_t sent_from;
static uint32_t port_of_routes;

static struct sockaddr_in loopback(void) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void option(int fd, int level, int name, int value) { must(setsockopt(fd, level, name, &value, sizeof value)); }

static int value_of(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) ? -1 : value;
}

static struct sockaddr_in local(int fd) {
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;
    must(getsockname(fd, (struct sockaddr *)&name, &size));
    return name;
}

static void set_up_tcp(void) {
    struct sockaddr_in name = loopback();
    listener = (int)must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
    option(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
    option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
    option(listener, IPPROTO_TCP, TCP_KEEPIDLE, 33);

    must(bind(listener, (struct sockaddr *)&name, sizeof name));
    must(listen(listener, 17));
    option(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, 4321);
    at = local(listener);
    listener6 = socket(AF_INET6, SOCK_STREAM, 0);
    if (listener6 >= 0) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        option(listener6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        must(bind(listener6, (struct sockaddr *)&any, sizeof any));
        must(listen(listener6, 4));
    }
    go_listener = socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);
    if (go_listener >= 0) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        must(bind(go_listener, (struct sockaddr *)&any, sizeof any));
        must(listen(go_listener, 9));
    }
    bound = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(bind(bound, (struct sockaddr *)&name, sizeof name));
    fresh = (int)must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
}

static void set_up_udp(void) {
    struct sockaddr_in name = loopback();
    udp = (int)must(socket(AF_INET, SOCK_DGRAM, 0));
    option(udp, SOL_SOCKET, SO_BROADCAST, 1);
    must(bind(udp, (struct sockaddr *)&name, sizeof name));
    udp_at = local(udp);
    udp_sender = (int)must(socket(AF_INET, SOCK_DGRAM, 0));
    must(connect(udp_sender, (struct sockaddr *)&udp_at, sizeof udp_at));
    udp_unbound = (int)must(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
}

// A listener whose queue is full answers nobody any more.
static void set_up_unanswered(void) {
    struct sockaddr_in name = loopback();
    busy = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(bind(busy, (struct sockaddr *)&name, sizeof name));
    must(listen(busy, 0));
    const struct sockaddr_in to = local(busy);
    first_waiting = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(first_waiting, (const struct sockaddr *)&to, sizeof to));
    unanswered = (int)must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    expect(connect(unanswered, (const struct sockaddr *)&to, sizeof to) < 0 && errno == EINPROGRESS);
    expect(events_of(unanswered, POLLOUT) == 0);
}

static void verify_unanswered(void) {
    const struct sockaddr_in to = local(busy);
    for (int tries = 0; tries < 100 && !(events_of(unanswered, POLLOUT) & POLLOUT); tries++) {
        while (events_of(busy, POLLIN) & POLLIN) close(accept(busy, NULL, NULL));
        usleep(100000);
    }
    expect(value_of(unanswered, SOL_SOCKET, SO_ERROR) == 0 && fcntl(unanswered, F_GETFL) & O_NONBLOCK);
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    expect(!getpeername(unanswered, (struct sockaddr *)&peer, &size) && peer.sin_port == to.sin_port);
}

static void set_up_datagrams(void) {
    struct sockaddr_in name = loopback();
    queued = (int)must(socket(AF_INET, SOCK_DGRAM, 0));
    must(bind(queued, (struct sockaddr *)&name, sizeof name));
    const struct sockaddr_in to = local(queued);
    const int sender = (int)must(socket(AF_INET, SOCK_DGRAM, 0));
    must(sendto(sender, "first", 5, 0, (const struct sockaddr *)&to, sizeof to));
    must(sendto(sender, "", 0, 0, (const struct sockaddr *)&to, sizeof to));
    must(sendto(sender, "third", 5, 0, (const struct sockaddr *)&to, sizeof to));
    sent_from = local(sender).sin_port;
    close(sender);
    // An IPv6 socket that hears IPv4 as well
    queued6 = (int)must(socket(AF_INET6, SOCK_DGRAM, 0));
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    must(bind(queued6, (struct sockaddr *)&any, sizeof any));
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = local(queued6).sin_port};
    const int sender6 = (int)must(socket(AF_INET6, SOCK_DGRAM, 0));
    must(sendto(sender6, "six", 3, 0, (struct sockaddr *)&to6, sizeof to6));
    close(sender6);
    lite = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    if (lite >= 0) must(bind(lite, (struct sockaddr *)&name, sizeof name));
    raw = (int)must(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    const struct icmp_filter filter = {.data = 1 << ICMP_ECHO};
    must(setsockopt(raw, SOL_RAW, ICMP_FILTER, &filter, sizeof filter));
    routes = (int)must(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE));
    struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
    must(bind(routes, (struct sockaddr *)&groups, sizeof groups));
    socklen_t size = sizeof groups;
    must(getsockname(routes, (struct sockaddr *)&groups, &size));
    port_of_routes = groups.nl_pid;
}

static void verify_datagrams(void) {
    char text[16] = {0};
    struct sockaddr_in from = {0};
    socklen_t size = sizeof from;
    expect(recvfrom(queued, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &size) == 5 && !memcmp(text, "first", 5));
    expect(from.sin_port == sent_from && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    expect(recv(queued, text, sizeof text, MSG_DONTWAIT) == 0);
    expect(recv(queued, text, sizeof text, MSG_DONTWAIT) == 5 && !memcmp(text, "third", 5));
    expect(recv(queued, text, sizeof text, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    expect(recv(queued6, text, sizeof text, MSG_DONTWAIT) == 3 && !memcmp(text, "six", 3));
    if (lite >= 0) expect(value_of(lite, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDPLITE && local(lite).sin_port != 0);
    struct icmp_filter filter = {0};
    size = sizeof filter;
    expect(!getsockopt(raw, SOL_RAW, ICMP_FILTER, &filter, &size) && filter.data == 1 << ICMP_ECHO);
    struct sockaddr_nl groups = {0};
    size = sizeof groups;
    expect(!getsockname(routes, (struct sockaddr *)&groups, &size) && groups.nl_pid == port_of_routes);
    expect(groups.nl_groups == (RTMGRP_LINK | RTMGRP_IPV4_IFADDR) && fcntl(routes, F_GETFL) & O_NONBLOCK);
    struct {
        struct nlmsghdr header;
        struct rtgenmsg body;
    } request = {.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    char answer[8192];
    expect(send(routes, &request, sizeof request, 0) == (ssize_t)sizeof request && read(routes, answer, sizeof answer) > 0);
}

static void set_up_connections(void) {
    set = (int)must(epoll_create1(0));
    for (int i = 0; i < 2; i++) {
        client[i] = (int)must(socket(AF_INET, SOCK_STREAM, 0));
        must(connect(client[i], (struct sockaddr *)&at, sizeof at));
        server[i] = (int)must(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
        struct epoll_event event = {.events = EPOLLIN, .data.fd = server[i]};
        must(epoll_ctl(set, EPOLL_CTL_ADD, server[i], &event));
    }
    must(write(client[0], "unread", 6));
}

static void verify_tcp(void) {
    expect(has_cloexec(listener) && local(listener).sin_port == at.sin_port);
    expect(value_of(listener, SOL_SOCKET, SO_REUSEADDR) == 1 && value_of(bound, SOL_SOCKET, SO_REUSEADDR) == 0);
    expect(value_of(listener, SOL_SOCKET, SO_KEEPALIVE) == 1 && value_of(listener, IPPROTO_TCP, TCP_NODELAY) == 1);
    expect(value_of(listener, IPPROTO_TCP, TCP_USER_TIMEOUT) == 4321);
    expect(value_of(listener, IPPROTO_TCP, TCP_KEEPIDLE) == 33 && value_of(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    struct tcp_info info;
    socklen_t size = sizeof info;
    expect(!getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) && info.tcpi_sacked == 17);
    const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    char text[8] = {0};
    expect(!connect(fd, (struct sockaddr *)&at, sizeof at));
    const int other = accept(listener, NULL, NULL);
    expect(write(fd, "hello", 5) == 5 && read(other, text, 5) == 5 && !strcmp(text, "hello"));
    if (listener6 >= 0) expect(value_of(listener6, IPPROTO_IPV6, IPV6_V6ONLY) == 1 && value_of(listener6, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    if (go_listener >= 0) {
        expect(value_of(go_listener, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP);
        struct sockaddr_in go_at = loopback();
        go_at.sin_port = local(go_listener).sin_port;
        const int plain = (int)must(socket(AF_INET, SOCK_STREAM, 0));
        expect(!connect(plain, (struct sockaddr *)&go_at, sizeof go_at));
        const int accepted = accept(go_listener, NULL, NULL);
        expect(write(plain, "go", 2) == 2 && read(accepted, text, 2) == 2);
    }
    expect(local(bound).sin_port != 0 && !listen(bound, 1));
    expect(fcntl(fresh, F_GETFL) & O_NONBLOCK && local(fresh).sin_port == 0);
    expect(connect(fresh, (struct sockaddr *)&at, sizeof at) < 0 && errno == EINPROGRESS);
}

static void verify_udp(void) {
    char text[8] = {0};
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    expect(local(udp).sin_port == udp_at.sin_port && value_of(udp, SOL_SOCKET, SO_BROADCAST) == 1);
    const in_port_t port = local(udp_sender).sin_port;
    expect(write(udp_sender, "query", 5) == 5);
    expect(recvfrom(udp, text, sizeof text, 0, (struct sockaddr *)&from, &size) == 5 && !strcmp(text, "query"));
    expect(from.sin_port == port && sendto(udp, "reply", 5, 0, (struct sockaddr *)&from, size) == 5);
    expect(read(udp_sender, text, 5) == 5 && !strcmp(text, "reply"));
    expect(fcntl(udp_unbound, F_GETFL) & O_NONBLOCK && local(udp_unbound).sin_port == 0);
    expect(sendto(udp_unbound, "x", 1, 0, (struct sockaddr *)&udp_at, sizeof udp_at) == 1 && read(udp, text, 1) == 1);
}

// Every one of them is shut in both directions, as with CRIU's --tcp-close.
static void verify_closed(void) {
    struct epoll_event events[8];
    char text[8];
    expect(epoll_wait(set, events, 8, 1000) == 2);
    for (int i = 0; i < 2; i++) {
        expect(events_of(server[i], POLLIN) & POLLHUP);
        expect(fcntl(server[i], F_GETFL) & O_NONBLOCK && !(fcntl(client[i], F_GETFL) & O_NONBLOCK));
        expect(read(server[i], text, sizeof text) == 0 && read(client[i], text, sizeof text) == 0);
        expect(write(server[i], "x", 1) < 0 && errno == EPIPE);
        expect(write(client[i], "x", 1) < 0 && errno == EPIPE);
        expect(!close(client[i]) && !close(server[i]));
    }
}

static void verify_alive(void) {
    char text[8] = {0};
    struct epoll_event events[8];
    expect(epoll_wait(set, events, 8, 0) == 1);
    expect(read(server[0], text, sizeof text) == 6 && !strcmp(text, "unread"));
    expect(write(server[1], "on", 2) == 2 && read(client[1], text, 2) == 2);
}

int main(int argc, char **) {
    signal(SIGPIPE, SIG_IGN);
    block_term();
    set_up_tcp();
    set_up_udp();
    set_up_datagrams();
    if (argc > 1) set_up_unanswered();
    if (argc > 1) set_up_connections();
    wait_for_term();
    verify_tcp();
    verify_udp();
    verify_datagrams();
    if (argc > 1) verify_unanswered();
    // The one that was only copied keeps its connections; the test says which it is.
    if (argc == 2 && access("restored", F_OK) == 0) verify_closed();
    else if (argc > 1) verify_alive();
    return verdict();
}
