// 29 kinds of blocking call, one thread each. A thread reports a wrong answer: EINTR although no handler ran, a wake-up
// before its time. SIGTERM ends the program with the sum; SIGUSR1 wakes what waits for an event.
//
// usage: restarts MILLIS [handler|restart]: how long the timed calls last; SIGUSR1 then first sends every thread a signal
// whose handler runs, without or with SA_RESTART, so that the kernel's own answers can be compared with and without a dump.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int wrong, done, started, handled;
static int sleep_millis = 3000;
static int forever[1];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const char *what, long result, int error, double began, int timed) {
    double took = now() - began;
    int bad = (result < 0 && error == EINTR && !handled) || (timed && !handled && took < sleep_millis / 1000.0 - 0.005);
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

static int pipe_fd[2], full[2], pair[2], epoll_fd, sem_id, msg_id, listener, event_fd, timer_fd, child;
static sigset_t usr2;
static struct timespec absolute(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
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
THREAD(clock_nanosleep_absolute, 1, ({ struct timespec at = absolute(CLOCK_MONOTONIC); syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL); }))
THREAD(poll_timeout, 1, syscall(SYS_poll, NULL, 0, sleep_millis))
THREAD(ppoll_timeout, 1, syscall(SYS_ppoll, NULL, 0, &rel, NULL, 8))
THREAD(select_timeout, 1, ({ struct timeval tv = {rel.tv_sec, rel.tv_nsec / 1000}; syscall(SYS_select, 0, NULL, NULL, NULL, &tv); }))
THREAD(futex_relative, 1, ({ int w = 0; syscall(SYS_futex, &w, FUTEX_WAIT_PRIVATE, 0, &rel, NULL, 0); }))
THREAD(futex_absolute, 1, ({ int w = 0; struct timespec at = absolute(CLOCK_MONOTONIC); syscall(SYS_futex, &w, FUTEX_WAIT_BITSET_PRIVATE, 0, &at, NULL, -1); }))
THREAD(futex_forever, 0, syscall(SYS_futex, forever, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0))
THREAD(epoll_timeout, 0, syscall(SYS_epoll_wait, epoll_fd, &(struct epoll_event){0}, 1, sleep_millis))
THREAD(epoll_forever, 0, syscall(SYS_epoll_wait, epoll_fd, &(struct epoll_event){0}, 1, -1))
THREAD(sigtimedwait_timeout, 0, syscall(SYS_rt_sigtimedwait, &usr2, NULL, &rel, 8))
THREAD(pipe_read, 0, ({ char c; syscall(SYS_read, pipe_fd[0], &c, 1); }))
THREAD(socket_read_timeout, 0, ({ char c; syscall(SYS_recvfrom, pair[0], &c, 1, 0, NULL, NULL); }))
THREAD(semaphore_wait, 0, ({ struct sembuf op = {0, -1, 0}; syscall(SYS_semtimedop, sem_id, &op, 1, NULL); }))
THREAD(message_receive, 0, ({ struct { long type; char text[8]; } m; syscall(SYS_msgrcv, msg_id, &m, 8, 0, 0); }))
THREAD(clock_nanosleep_realtime, 1, ({ struct timespec at = absolute(CLOCK_REALTIME); syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL); }))
THREAD(pselect_forever, 0, ({ fd_set set; FD_ZERO(&set); FD_SET(event_fd, &set); syscall(SYS_pselect6, event_fd + 1, &set, NULL, NULL, NULL, NULL); }))
THREAD(ppoll_forever, 0, ({ struct pollfd p = {event_fd, POLLIN, 0}; syscall(SYS_ppoll, &p, 1, NULL, NULL, 8); }))
THREAD(poll_forever, 0, ({ struct pollfd p = {event_fd, POLLIN, 0}; syscall(SYS_poll, &p, 1, -1); }))
THREAD(epoll_pwait2_timeout, 0, syscall(SYS_epoll_pwait2, epoll_fd, &(struct epoll_event){0}, 1, &rel, NULL, 8))
THREAD(semaphore_timeout, 0, ({ struct sembuf op = {1, -1, 0}; syscall(SYS_semtimedop, sem_id, &op, 1, &rel); }))
THREAD(futex_many, 0, ({ struct futex_waitv one = {0, (uintptr_t)forever, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0}; syscall(SYS_futex_waitv, &one, 1, 0, NULL, 0); }))
THREAD(futex_realtime, 1, ({ int w = 0; struct timespec at = absolute(CLOCK_REALTIME); syscall(SYS_futex, &w, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &at, NULL, -1); }))
THREAD(accept_forever, 0, syscall(SYS_accept4, listener, NULL, NULL, 0))
THREAD(timerfd_read, 1, ({ struct itimerspec once = {{0, 0}, rel}; long ticks; timerfd_settime(timer_fd, 0, &once, NULL); syscall(SYS_read, timer_fd, &ticks, 8); }))
THREAD(child_wait, 0, syscall(SYS_wait4, child, NULL, 0, NULL))
THREAD(pipe_write, 0, syscall(SYS_write, full[1], "x", 1))

typedef void *(*body)(void *);
static const body all[] = {
    nanosleep_relative, nanosleep_remaining, clock_nanosleep_relative, clock_nanosleep_absolute, poll_timeout,
    ppoll_timeout, select_timeout, futex_relative, futex_absolute, futex_forever, epoll_timeout, epoll_forever,
    sigtimedwait_timeout, pipe_read, socket_read_timeout, semaphore_wait, message_receive, clock_nanosleep_realtime,
    pselect_forever, ppoll_forever, poll_forever, epoll_pwait2_timeout, semaphore_timeout, futex_many, futex_realtime,
    accept_forever, timerfd_read, child_wait, pipe_write,
};
#define THREADS ((int)(sizeof all / sizeof *all))
static pthread_t threads[THREADS];

static void handler(int signal) { (void)signal; }

static void prepare(void) {
    const struct timeval tmo = {sleep_millis / 1000, sleep_millis % 1000 * 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char page[4096] = {0};
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    // An empty name: the kernel chooses one.
    if (pipe(pipe_fd) || pipe(full) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
        bind(listener, (struct sockaddr *)&address, sizeof address.sun_family) || listen(listener, 5))
        exit(1);
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tmo, sizeof tmo);
    fcntl(full[1], F_SETFL, O_NONBLOCK);
    while (write(full[1], page, sizeof page) > 0) continue;
    fcntl(full[1], F_SETFL, 0);
    epoll_fd = epoll_create1(0);
    event_fd = eventfd(0, 0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
    sem_id = semget(IPC_PRIVATE, 2, 0600);
    msg_id = msgget(IPC_PRIVATE, 0600);
    child = fork();
    if (child == 0)
        for (;;) pause();
}

static void wake(void) {
    char page[4096];
    const long one = 1;
    struct epoll_event e = {.events = EPOLLIN};
    struct sembuf up = {0, 1, 0};
    struct { long type; char text[8]; } m = {1, "hello"};
    struct sockaddr_un address;
    socklen_t length = sizeof address;
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    __atomic_store_n(forever, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, forever, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    if (write(pipe_fd[1], "xy", 2) != 2 || write(event_fd, &one, 8) != 8 || read(full[0], page, sizeof page) < 1) exit(1);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &e);
    semop(sem_id, &up, 1);
    msgsnd(msg_id, &m, 8, 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    connect(client, (struct sockaddr *)&address, length);
    kill(child, SIGKILL);
    // A read that began again after a handler waits for the rest of its time.
    const struct itimerspec now = {{0, 0}, {0, 1}};
    if (handled) timerfd_settime(timer_fd, 0, &now, NULL);
}

int main(int argc, char **argv) {
    if (argc > 1) sleep_millis = atoi(argv[1]);
    const int mode = argc < 3 ? -1 : strcmp(argv[2], "restart") ? 0 : SA_RESTART;
    struct sigaction action = {.sa_handler = handler, .sa_flags = mode};
    sigset_t term, blocked;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigaddset(&term, SIGUSR1);
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    blocked = term;
    sigaddset(&blocked, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    prepare();
    if (mode >= 0) sigaction(SIGRTMIN, &action, NULL);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, all[i], NULL);
    while (started < THREADS) usleep(1000);
    usleep(50000);
    printf("ready %d threads\n", THREADS);
    fflush(stdout);
    for (int signal; !sigwait(&term, &signal);) {
        if (signal == SIGUSR1) {
            handled = mode >= 0;
            for (int i = 0; handled && i < THREADS; i++) pthread_kill(threads[i], SIGRTMIN);
            if (handled) usleep(200000);
            wake();
            continue;
        }
        semctl(sem_id, 0, IPC_RMID);
        msgctl(msg_id, IPC_RMID, NULL);
        printf("verdict wrong %d done %d of %d\n", wrong, done, THREADS);
        fflush(stdout);
        return wrong != 0;
    }
    return 1;
}
