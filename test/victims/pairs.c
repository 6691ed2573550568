// TCP connections of which both ends are saved, over loopback. SIGTERM verifies that every one of them goes on where it stood.
// SIGUSR1 closes one of them, whose end lingers; who serves writes something, and closes on SIGUSR2.
// usage: pairs: both ends in one process; pairs serve, pairs call: one end each; pairs up: only raises the loopback interface
#include "descriptors.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { PORT = 8100, SERVE_PORT = 8200 };

struct pair {
    int client, server;
};

static int served;
static struct pair idle, unread, full, client_ended, server_ended, both_ways, six, mapped, corked;
static long full_bytes;

static void raise_loopback(void) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    must(ioctl((int)must(socket(AF_INET, SOCK_DGRAM, 0)), SIOCSIFFLAGS, &loopback));
}

static struct sockaddr_in at(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_at(int family, int port) {
    const int fd = (int)must(socket(family, SOCK_STREAM, 0)), on = 1;
    must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    struct sockaddr_in v4 = at(port);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    must(family == AF_INET ? bind(fd, (struct sockaddr *)&v4, sizeof v4) : bind(fd, (struct sockaddr *)&v6, sizeof v6));
    must(listen(fd, 16));
    return fd;
}

static struct pair make(int listener) {
    const struct sockaddr_in to = at(PORT);
    const int client = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(client, (const struct sockaddr *)&to, sizeof to));
    return (struct pair){.client = client, .server = (int)must(accept(listener, NULL, NULL))};
}

static void set_up_six(void) {
    const int listener = listen_at(AF_INET6, PORT + 1);
    const struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(PORT + 1), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    six.client = (int)must(socket(AF_INET6, SOCK_STREAM, 0));
    must(connect(six.client, (const struct sockaddr *)&to, sizeof to));
    six.server = (int)must(accept(listener, NULL, NULL));
    const struct sockaddr_in to4 = at(PORT + 1);
    mapped.client = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(mapped.client, (const struct sockaddr *)&to4, sizeof to4));
    mapped.server = (int)must(accept(listener, NULL, NULL));
}

// The number of a byte in the stream makes its value: a lost or doubled one is seen.
static char nth(long n) { return (char)(n * 31 + n / 251); }

// Until neither side has room: some of it is received, some waits to be sent.
static void fill(int fd) {
    char piece[4096];
    must(fcntl(fd, F_SETFL, O_NONBLOCK));
    for (;;) {
        for (long i = 0; i < (long)sizeof piece; i++) piece[i] = nth(full_bytes + i);
        const long sent = write(fd, piece, sizeof piece);
        if (sent < 0 && errno == EAGAIN) return;
        full_bytes += must(sent);
    }
}

static void set_up(void) {
    const int listener = listen_at(AF_INET, PORT), on = 1;
    idle = make(listener);
    unread = make(listener);
    must(write(unread.client, "unread", 6));
    full = make(listener);
    fill(full.client);
    client_ended = make(listener);
    must(write(client_ended.client, "last", 4));
    must(shutdown(client_ended.client, SHUT_WR));
    server_ended = make(listener);
    must(shutdown(server_ended.server, SHUT_WR));
    char byte;
    expect(read(server_ended.client, &byte, 1) == 0);
    both_ways = make(listener);
    must(write(both_ways.client, "ping", 4));
    must(write(both_ways.server, "pong", 4));
    corked = make(listener);
    must(setsockopt(corked.client, IPPROTO_TCP, TCP_CORK, &on, sizeof on));
    must(write(corked.client, "held back", 9));
    set_up_six();
}

static void hears(int fd, const char *text) {
    char got[64] = {0};
    const ssize_t length = (ssize_t)strlen(text);
    for (ssize_t have = 0; have < length;) {
        const ssize_t n = read(fd, got + have, (size_t)(length - have));
        expect_at(n > 0, "read of \"%s\" after \"%s\"", text, got);
        if (n <= 0) return;
        have += n;
    }
    expect_at(!strcmp(got, text), "\"%s\" where \"%s\" was sent", got, text);
}

static void says(int from, int to, const char *text) {
    expect(write(from, text, strlen(text)) == (ssize_t)strlen(text));
    hears(to, text);
}

static void ends(int fd) {
    char byte;
    expect(read(fd, &byte, 1) == 0);
}

static void verify_alive(struct pair p) {
    for (int round = 0; round < 3; round++) {
        says(p.client, p.server, "there");
        says(p.server, p.client, "and back");
    }
    expect(!close(p.client));
    ends(p.server);
    expect(!close(p.server));
}

static void verify_full(void) {
    char piece[4096];
    for (long have = 0; have < full_bytes;) {
        const long n = read(full.server, piece, sizeof piece);
        expect(n > 0);
        if (n <= 0) return;
        for (long i = 0; i < n; i++)
            if (piece[i] != nth(have + i)) {
                expect_at(0, "byte %ld of %ld differs", have + i, full_bytes);
                return;
            }
        have += n;
    }
    must(fcntl(full.client, F_SETFL, 0));
    verify_alive(full);
}

static void verify_ended(void) {
    hears(client_ended.server, "last");
    ends(client_ended.server);
    says(client_ended.server, client_ended.client, "still here");
    expect(write(client_ended.client, "x", 1) < 0 && errno == EPIPE);
    expect(!close(client_ended.server));
    ends(client_ended.client);
    ends(server_ended.client);
    says(server_ended.client, server_ended.server, "still here");
    expect(!close(server_ended.client));
    ends(server_ended.server);
}

static void close_idle(int) {
    close(idle.client);
    close(idle.server);
    must(write(1, "closed\n", 7));
}

static void verify(void) {
    verify_alive(idle);
    hears(unread.server, "unread");
    verify_alive(unread);
    hears(both_ways.server, "ping");
    hears(both_ways.client, "pong");
    verify_alive(both_ways);
    verify_full();
    verify_ended();
    verify_alive(six);
    verify_alive(mapped);
    const int off = 0;
    expect(!setsockopt(corked.client, IPPROTO_TCP, TCP_CORK, &off, sizeof off));
    hears(corked.server, "held back");
    verify_alive(corked);
}

static void write_more(int) {
    must(write(served, "!", 1));
    must(write(1, "written\n", 8));
}

static void close_served(int) {
    close(served);
    must(write(1, "closed\n", 7));
}

static void serve(void) {
    const int listener = listen_at(AF_INET, SERVE_PORT);
    printf("listens\n");
    fflush(stdout);
    const int fd = served = (int)must(accept(listener, NULL, NULL));
    signal(SIGUSR1, write_more);
    signal(SIGUSR2, close_served);
    must(write(fd, "asked before", 12));
    wait_for_term();
    hears(fd, "answered before");
    expect(write(fd, "asked after", 11) == 11);
    hears(fd, "answered after");
    ends(fd);
}

static void call(void) {
    const struct sockaddr_in to = at(SERVE_PORT);
    const int fd = (int)must(socket(AF_INET, SOCK_STREAM, 0));
    must(connect(fd, (const struct sockaddr *)&to, sizeof to));
    hears(fd, "asked before");
    must(write(fd, "answered before", 15));
    wait_for_term();
    hears(fd, "asked after");
    expect(write(fd, "answered after", 14) == 14);
    expect(!close(fd));
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    raise_loopback();
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "up")) return 0;
    block_term();
    alarm(300);
    if (!strcmp(mode, "serve")) serve();
    else if (!strcmp(mode, "call")) call();
    else {
        set_up();
        signal(SIGUSR1, close_idle);
        wait_for_term();
        verify();
    }
    return verdict();
}
