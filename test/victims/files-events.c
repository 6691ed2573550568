// eventfd, epoll, timerfd and signalfd, each in the states that are easily lost.
// usage: files-events; SIGTERM verifies.
#include "descriptors.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#define LARGE 0x123456789abcdefull
#define MOVED 60
#define GONE 61

static int counter, semaphore, empty;
static int set, nested, pipe_in[2], pipe_moved[2], pipe_gone[2], once_event, edge_event;
static int relative, absolute, interval, disarmed, expired, realtime;
static int signals;
static int own, of_child, of_zombie, of_ended;
static pid_t child, zombie;

static void watch(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void set_up_epoll(void) {
    set = (int)must(epoll_create1(EPOLL_CLOEXEC));
    nested = (int)must(epoll_create1(0));
    must(pipe(pipe_in));
    must(pipe(pipe_moved));
    must(pipe(pipe_gone));
    watch(set, pipe_in[0], EPOLLIN, 0xfeedfacecafebeefull);
    // Added under a number that leads nowhere, then under one that leads elsewhere by now.
    must(dup2(pipe_moved[0], MOVED));
    watch(set, MOVED, EPOLLIN, 2);
    must(close(MOVED));
    must(dup2(pipe_gone[0], GONE));
    watch(set, GONE, EPOLLIN, 3);
    must(dup2(counter, GONE));
    watch(set, GONE, EPOLLIN | EPOLLET, 4);
    once_event = (int)must(eventfd(0, EFD_NONBLOCK));
    watch(set, once_event, EPOLLIN | EPOLLONESHOT, 5);
    edge_event = (int)must(eventfd(0, EFD_NONBLOCK));
    watch(nested, edge_event, EPOLLIN | EPOLLET, 6);
    watch(set, nested, EPOLLIN, 7);
    watch(set, signals, EPOLLIN, 8);
}

static struct itimerspec every(time_t first, time_t then) {
    return (struct itimerspec){.it_value.tv_sec = first, .it_interval.tv_sec = then};
}

static int handle_of(pid_t pid) { return (int)must(syscall(SYS_pidfd_open, pid, 0)); }

static void set_up_handles(void) {
    own = handle_of(getpid());
    child = (pid_t)must(fork());
    if (child == 0)
        for (;;) pause();
    of_child = handle_of(child);
    zombie = (pid_t)must(fork());
    if (zombie == 0) _exit(7);
    of_zombie = (int)must(syscall(SYS_pidfd_open, zombie, O_NONBLOCK));
    const pid_t ended = (pid_t)must(fork());
    if (ended == 0) _exit(0);
    of_ended = handle_of(ended);
    must(waitpid(ended, NULL, 0));
}

static int send_by(int handle, int signal) { return (int)syscall(SYS_pidfd_send_signal, handle, signal, NULL, 0); }

static void verify_handles(void) {
    expect(send_by(own, 0) == 0 && send_by(of_child, 0) == 0 && events_of(of_child, POLLIN) == 0);
    expect(send_by(of_ended, 0) < 0 && errno == ESRCH);
    expect(fcntl(of_zombie, F_GETFL) & O_NONBLOCK && events_of(of_zombie, POLLIN) & POLLIN);
    siginfo_t info = {0};
    expect(waitid(P_PIDFD, (id_t)of_zombie, &info, WEXITED) == 0 && info.si_pid == zombie && info.si_status == 7);
    expect(send_by(of_child, SIGKILL) == 0);
    expect(waitid(P_PIDFD, (id_t)of_child, &info, WEXITED) == 0 && info.si_pid == child);
}

static void set_up_timers(void) {
    struct itimerspec spec = every(1000, 0);
    relative = (int)must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    must(timerfd_settime(relative, 0, &spec, NULL));
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    spec = every(now.tv_sec + 2000, 7);
    absolute = (int)must(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
    must(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &spec, NULL));
    clock_gettime(CLOCK_REALTIME, &now);
    spec = every(now.tv_sec + 3000, 0);
    realtime = (int)must(timerfd_create(CLOCK_REALTIME, 0));
    must(timerfd_settime(realtime, TFD_TIMER_ABSTIME, &spec, NULL));
    spec = (struct itimerspec){.it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 20000000};
    interval = (int)must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    must(timerfd_settime(interval, 0, &spec, NULL));
    spec.it_interval.tv_nsec = 0;
    expired = (int)must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    must(timerfd_settime(expired, 0, &spec, NULL));
    disarmed = (int)must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    usleep(100000);
}

static void set_up(void) {
    counter = (int)must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    const uint64_t large = LARGE;
    must(write(counter, &large, sizeof large));
    semaphore = (int)must(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK));
    empty = (int)must(eventfd(0, 0));
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signals = (int)must(signalfd(-1, &mask, SFD_NONBLOCK));
    must(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 77}));
    set_up_epoll();
    set_up_timers();
}

static void verify_eventfds(void) {
    uint64_t value;
    expect(read(counter, &value, 8) == 8 && value == LARGE && has_cloexec(counter));
    expect(read(counter, &value, 8) < 0 && errno == EAGAIN);
    for (int i = 0; i < 3; i++) expect(read(semaphore, &value, 8) == 8 && value == 1);
    expect(read(semaphore, &value, 8) < 0 && errno == EAGAIN);
    expect(!(fcntl(empty, F_GETFL) & O_NONBLOCK) && events_of(empty, POLLIN | POLLOUT) == POLLOUT);
}

// Waits once and says whether `data` was among the events.
static int reports(int epoll, uint64_t data) {
    struct epoll_event events[16];
    const int n = epoll_wait(epoll, events, 16, 0);
    for (int i = 0; i < n; i++)
        if (events[i].data.u64 == data) return 1;
    return 0;
}

static void verify_epoll(void) {
    const uint64_t one = 1;
    expect(has_cloexec(set) && !has_cloexec(nested));
    expect(!reports(set, 0xfeedfacecafebeefull) && write(pipe_in[1], "x", 1) == 1);
    expect(reports(set, 0xfeedfacecafebeefull));
    expect(!reports(set, 2) && write(pipe_moved[1], "x", 1) == 1 && reports(set, 2));
    expect(!reports(set, 3) && write(pipe_gone[1], "x", 1) == 1 && reports(set, 3));
    expect(write(counter, &one, 8) == 8 && reports(set, 4));
    expect(write(once_event, &one, 8) == 8 && reports(set, 5) && !reports(set, 5));
    expect(write(edge_event, &one, 8) == 8 && reports(set, 7) && reports(nested, 6));
    // The watch is still known under its old number only.
    struct epoll_event event = {.events = EPOLLIN};
    expect(is_closed(MOVED) && epoll_ctl(set, EPOLL_CTL_DEL, pipe_moved[0], &event) < 0 && errno == ENOENT);
    expect(epoll_ctl(set, EPOLL_CTL_DEL, GONE, &event) == 0);
    expect(epoll_ctl(set, EPOLL_CTL_DEL, pipe_in[0], &event) == 0);
}

static void verify_signals(void) {
    struct signalfd_siginfo info;
    expect(reports(set, 8));
    expect(read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == (unsigned)SIGRTMIN + 3);
    expect(info.ssi_int == 77);
    kill(getpid(), SIGUSR1);
    expect(reports(set, 8) && read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1);
}

static time_t remaining(int timer, long interval_seconds) {
    struct itimerspec spec;
    if (timerfd_gettime(timer, &spec)) return -1;
    return spec.it_interval.tv_sec == interval_seconds ? spec.it_value.tv_sec : -2;
}

static void verify_timers(void) {
    uint64_t ticks;
    expect(remaining(relative, 0) > 900 && remaining(relative, 0) <= 1000);
    expect(remaining(absolute, 7) > 1900 && remaining(absolute, 7) <= 2000 && has_cloexec(absolute));
    expect(remaining(realtime, 0) > 2900 && remaining(realtime, 0) <= 3000);
    expect(read(interval, &ticks, 8) == 8 && ticks >= 5);
    usleep(50000);
    expect(read(interval, &ticks, 8) == 8 && ticks >= 1);
    expect(read(expired, &ticks, 8) == 8 && ticks == 1);
    expect(remaining(expired, 0) == 0 && read(expired, &ticks, 8) < 0 && errno == EAGAIN);
    expect(remaining(disarmed, 0) == 0 && events_of(disarmed, POLLIN) == 0);
}

int main(void) {
    block_term();
    set_up();
    set_up_handles();
    wait_for_term();
    verify_eventfds();
    verify_epoll();
    verify_signals();
    verify_timers();
    verify_handles();
    return verdict();
}
