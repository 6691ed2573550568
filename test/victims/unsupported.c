// Holds one open file that no dump can save, and goes on counting.
// usage: unsupported io_uring | userfaultfd; "unavailable" when the kernel has no such thing
// SIGUSR1 prints "report N wrong W ticks ...", SIGTERM too, and ends it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile unsigned long ticks;
static volatile int wrong;

static int open_kind(const char *kind) {
    struct io_uring_params params = {0};
    if (!strcmp(kind, "io_uring")) return (int)syscall(SYS_io_uring_setup, 4, &params);
    if (!strcmp(kind, "userfaultfd")) return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    errno = EINVAL;
    return -1;
}

static void *count(void *unused) {
    (void)unused;
    for (;; ticks++)
        if (usleep(500)) wrong++;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    const int fd = open_kind(argv[1]);
    pthread_t t;
    if (pthread_create(&t, NULL, count, NULL)) return 1;
    printf("ready fd %d %s\n", fd, fd < 0 ? strerror(errno) : "");
    fflush(stdout);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        printf("report %d wrong %d ticks %lu\n", reports, wrong, ticks);
        fflush(stdout);
        if (signal == SIGTERM) return wrong != 0;
    }
    return 1;
}
