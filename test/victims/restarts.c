// 17 kinds of blocking call, one thread each. A thread reports a wrong answer: EINTR although no handler ran, a wake-up
// before its time. SIGTERM ends the program with the sum; SIGUSR1 wakes what waits for an event.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int wrong, done, started;
static int sleep_millis = 3000;
static int forever[1];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, long result, int error, double began, int timed) {
    double took = now() - began;
    int bad = (result < 0 && error == EINTR) || (timed && took < sleep_millis / 1000.0 - 0.005);
    if (bad) __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
    printf("%s %s result %ld errno %d after %.3f s\n", bad ? "WRONG" : "ok", what, result, result < 0 ? error : 0, took);
    fflush(stdout);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

#define THREAD(name, timed, call)                                                                                      \
    static void *name(void *unused) {                                                                                  \
        (void)unused;                                                                                                  \
        struct timespec rel = {sleep_millis / 1000, sleep_millis % 1000 * 1000000L};                                   \
        (void)rel;                                                                                                     \
        __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);                                                             \
        double began = now();                                                                                          \
        errno = 0;                                                                                                     \
        long result = (call);                                                                                          \
        report(#name, result, errno, began, timed);                                                                    \
        return NULL;                                                                                                   \
    }

static int pipe_fd[2], pair[2], epoll_fd, sem_id, msg_id, listener;
static sigset_t usr2;
static struct timespec absolute(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += sleep_millis / 1000;
    t.tv_nsec += sleep_millis % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    return t;
}

THREAD(nanosleep_relative, 1, syscall(SYS_nanosleep, &rel, NULL))
THREAD(nanosleep_remaining, 1, ({ struct timespec rem; syscall(SYS_nanosleep, &rel, &rem); }))
THREAD(clock_nanosleep_relative, 1, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &rel, NULL))
THREAD(clock_nanosleep_absolute, 1, ({ struct timespec at = absolute(); syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); }))
THREAD(poll_timeout, 1, syscall(SYS_poll, NULL, 0, sleep_millis))
THREAD(ppoll_timeout, 1, syscall(SYS_ppoll, NULL, 0, &rel, NULL, 8))
THREAD(select_timeout, 1, ({ struct timeval tv = {rel.tv_sec, rel.tv_nsec / 1000}; syscall(SYS_select, 0, NULL, NULL, NULL, &tv); }))
THREAD(futex_relative, 1, ({ int w = 0; syscall(SYS_futex, &w, FUTEX_WAIT_PRIVATE, 0, &rel, NULL, 0); }))
THREAD(futex_absolute, 1, ({ int w = 0; struct timespec at = absolute(); syscall(SYS_futex, &w, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, -1); }))
THREAD(futex_forever, 0, syscall(SYS_futex, forever, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0))
THREAD(epoll_timeout, 0, syscall(SYS_epoll_wait, epoll_fd, &(struct epoll_event){0}, 1, sleep_millis))
THREAD(epoll_forever, 0, syscall(SYS_epoll_wait, epoll_fd, &(struct epoll_event){0}, 1, -1))
THREAD(sigtimedwait_timeout, 0, syscall(SYS_rt_sigtimedwait, &usr2, NULL, &rel, 8))
THREAD(pipe_read, 0, ({ char c; syscall(SYS_read, pipe_fd[0], &c, 1); }))
THREAD(socket_read_timeout, 0, ({ char c; syscall(SYS_recvfrom, pair[0], &c, 1, 0, NULL, NULL); }))
THREAD(semaphore_wait, 0, ({ struct sembuf op = {0, -1, 0}; syscall(SYS_semtimedop, sem_id, &op, 1, NULL); }))
THREAD(message_receive, 0, ({ struct { long type; char text[8]; } m; syscall(SYS_msgrcv, msg_id, &m, 8, 0, 0); }))

typedef void *(*body)(void *);
static const body sysv[] = {semaphore_wait, message_receive};
static const body all[] = {nanosleep_relative, nanosleep_remaining, clock_nanosleep_relative, clock_nanosleep_absolute,
                           poll_timeout, ppoll_timeout, select_timeout, futex_relative, futex_absolute, futex_forever,
                           epoll_timeout, epoll_forever, sigtimedwait_timeout, pipe_read, socket_read_timeout};

// usage: restarts MILLIS [sysv]: how long the timed calls last; SysV objects only where they need not be restored
int main(int argc, char **argv) {
    if (argc > 1) sleep_millis = atoi(argv[1]);
    int with_sysv = argc > 2;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigaddset(&term, SIGUSR1);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    sigset_t both = term;
    sigaddset(&both, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &both, NULL);
    struct timeval tmo = {sleep_millis / 1000, sleep_millis % 1000 * 1000};
    if (pipe(pipe_fd) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tmo, sizeof tmo);
    epoll_fd = epoll_create1(0);
    (void)listener;
    if (with_sysv) {
        sem_id = semget(IPC_PRIVATE, 1, 0600);
        msg_id = msgget(IPC_PRIVATE, 0600);
    }
    int count = 0;
    pthread_t t;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++, count++) pthread_create(&t, NULL, all[i], NULL);
    for (unsigned i = 0; with_sysv && i < 2; i++, count++) pthread_create(&t, NULL, sysv[i], NULL);
    while (started < count) usleep(1000);
    usleep(50000);
    printf("ready %d threads\n", count);
    fflush(stdout);
    for (int signal; !sigwait(&term, &signal);) {
        if (signal == SIGUSR1) { // wake the endless ones
            __atomic_store_n(forever, 1, __ATOMIC_SEQ_CST);
            syscall(SYS_futex, forever, FUTEX_WAKE_PRIVATE, 1000, NULL, NULL, 0);
            if (write(pipe_fd[1], "x", 1) != 1) return 1;
            struct epoll_event e = {.events = EPOLLIN};
            if (write(pipe_fd[1], "y", 1) != 1) return 1;
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fd[0], &e);
            if (with_sysv) {
                struct sembuf up = {0, 1, 0};
                semop(sem_id, &up, 1);
                struct { long type; char text[8]; } m = {1, "hello"};
                msgsnd(msg_id, &m, 8, 0);
            }
            continue;
        }
        if (with_sysv) {
            semctl(sem_id, 0, IPC_RMID);
            msgctl(msg_id, IPC_RMID, NULL);
        }
        printf("verdict wrong %d done %d of %d\n", wrong, done, count);
        fflush(stdout);
        return wrong != 0;
    }
    return 1;
}
