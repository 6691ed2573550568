// TCP and UDP: listeners, unconnected sockets, datagrams over loopback; with an argument also established connections.
// usage: files-inet [connections]; SIGTERM verifies. Traffic goes over loopback only.
#include "descriptors.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int listener, listener6, go_listener, bound, fresh, udp, udp_sender, udp_unbound, server[2], client[2], set;
static struct sockaddr_in at, udp_at;

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

int main(int argc, char **argv) {
    (void)argv;
    signal(SIGPIPE, SIG_IGN);
    block_term();
    set_up_tcp();
    set_up_udp();
    if (argc > 1) set_up_connections();
    wait_for_term();
    verify_tcp();
    verify_udp();
    // The one that was only copied keeps its connections; the test says which it is.
    if (argc > 1 && access("restored", F_OK) == 0) verify_closed();
    else if (argc > 1) verify_alive();
    return verdict();
}
