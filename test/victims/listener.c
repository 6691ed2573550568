// Listens on 127.0.0.1:8000. Each SIGUSR1 makes a connection that stays and one that the listening side closes first, whose
// end lingers on the port. usage: listener [reuse]: with SO_REUSEADDR
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int server;
static struct sockaddr_in address;

static void need(int result, const char *what) {
    if (result >= 0) return;
    perror(what);
    exit(1);
}

static int pair_with(int *accepted) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    need(connect(client, (struct sockaddr *)&address, sizeof address), "connect");
    need(*accepted = accept(server, NULL, NULL), "accept");
    return client;
}

int main(int argc, char **argv) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    server = socket(AF_INET, SOCK_STREAM, 0);
    ioctl(server, SIOCSIFFLAGS, &loopback);
    int on = argc > 1 && !strcmp(argv[1], "reuse");
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(8000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    need(bind(server, (struct sockaddr *)&address, sizeof address), "bind");
    need(listen(server, 5), "listen");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready\n");
    fflush(stdout);
    char byte;
    for (int signal, round = 1; !sigwait(&set, &signal); round++) {
        int stays, closed;
        pair_with(&stays);
        int client = pair_with(&closed);
        close(closed);
        need((int)read(client, &byte, 1), "read");
        close(client);
        printf("round %d\n", round);
        fflush(stdout);
    }
}
