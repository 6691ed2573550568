// What the victims of open files share: set up, say ready, wait for SIGTERM, verify, say PASS or FAIL.
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

__attribute__((format(printf, 2, 3))) static inline void expect_at(int good, const char *format, ...) {
    if (good) return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAIL ");
    vprintf(format, arguments);
    printf(" (errno %d)\n", errno);
    va_end(arguments);
    fflush(stdout);
    failures++;
}

#define expect(condition) expect_at((condition), "%s:%d %s", __func__, __LINE__, #condition)

// For the set-up: what cannot be set up cannot be tested.
#define must(call)                                                      \
    ({                                                                  \
        long must_result = (long)(call);                                \
        if (must_result < 0) {                                          \
            printf("SETUP %s:%d %s: %m\n", __func__, __LINE__, #call);  \
            fflush(stdout);                                             \
            exit(3);                                                    \
        }                                                               \
        must_result;                                                    \
    })

static inline void block_term(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

// Between this and its return the program is dumped and restored.
static inline void wait_for_term(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    printf("ready\n");
    fflush(stdout);
    int got;
    while (sigwait(&set, &got) || got != SIGTERM) {
    }
}

static inline int verdict(void) {
    printf(failures ? "FAIL %d\n" : "PASS\n", failures);
    fflush(stdout);
    return failures != 0;
}

static inline int has_cloexec(int fd) { return fcntl(fd, F_GETFD) & FD_CLOEXEC; }

static inline int is_closed(int fd) { return fcntl(fd, F_GETFD) < 0 && errno == EBADF; }

// Events of a descriptor right now.
static inline int events_of(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

// Does /proc/self/fd/N lead to this name?
static inline int leads_to(int fd, const char *name) {
    char link[64], target[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0) return 0;
    target[length] = 0;
    const size_t have = strlen(target), want = strlen(name);
    return have >= want && !strcmp(target + have - want, name);
}

#endif
