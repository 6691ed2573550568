// Questions and answers over loopback: a thread that blocks in accept, and the client for `kubectl exec`.
#include "futex.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in loopback(void) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void answer(int client) {
    static char text[ANSWER_BYTES];
    char question[32] = {0};
    if (read(client, question, sizeof(question) - 1) > 0 && strcmp(question, "owners-die") == 0) {
        let_owners_die();
    }
    describe(text);
    send(client, text, strlen(text), MSG_NOSIGNAL);
    close(client);
}

void *serve(void *unused) {
    const struct sockaddr_in address = loopback();
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 8) != 0) {
        perror("listen");
        exit(1);
    }
    for (;;) {
        const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        judged("accept", client < 0 ? errno : 0);
        if (client >= 0) {
            answer(client);
        }
    }
    return unused;
}

int ask(const char *question) {
    char text[4096];
    ssize_t length;
    const struct sockaddr_in address = loopback();
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval patience = {.tv_sec = 2 * PATIENCE_MILLIS / 1000};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(server, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("connect");
        return 1;
    }
    send(server, question, strlen(question), MSG_NOSIGNAL);
    while ((length = read(server, text, sizeof(text))) > 0) {
        fwrite(text, 1, (size_t)length, stdout);
    }
    return length < 0;
}
