// Timers of every kind, some far away, some ticking. SIGUSR1 prints "report N wrong W ticks ...", SIGTERM too, and ends it.
// A far one must have less time left than it had and nearly all of it; intervals, ids and values must be as they were.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FAR_SECONDS 36000
#define LOST_SECONDS 600
#define TICK_NANOS 10000000
#define TIMERS 5

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile unsigned long ticks[3];
static volatile int wrong, signal_thread;
static int far_fd, tick_fd;

static void complain(const char *what, long got) {
    __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
    printf("WRONG %s: %ld\n", what, got);
}

static void expect(const char *what, long got, long want) {
    if (got != want) complain(what, got);
}

static void expect_far(const char *what, long left, long first) {
    if (left > first || left < first - LOST_SECONDS) complain(what, left);
}

// Kernel ids, not those of the C library, so that a restore that renumbers is seen: the second is deleted again.
static struct kind {
    clockid_t clock;
    int notify, signal;
    long far;
    int id;
} kinds[TIMERS] = {
    {CLOCK_MONOTONIC, SIGEV_SIGNAL, 0, FAR_SECONDS, -1},
    {CLOCK_REALTIME, SIGEV_SIGNAL, 0, FAR_SECONDS + 1000, -1},
    {CLOCK_BOOTTIME, SIGEV_NONE, 0, FAR_SECONDS + 2000, -1},
    {CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 0, -1},
    {CLOCK_MONOTONIC, SIGEV_THREAD_ID, 2, 0, -1},
};

static void create(struct kind *kind, long index) {
    struct sigevent event = {0};
    event.sigev_notify = kind->notify;
    event.sigev_signo = SIGRTMIN + kind->signal;
    event.sigev_value.sival_ptr = (void *)(intptr_t)(500 + index);
    if (kind->notify & SIGEV_THREAD_ID) event.sigev_notify_thread_id = signal_thread;
    if (syscall(SYS_timer_create, kind->clock, &event, &kind->id)) exit(1);
    struct itimerspec when = {{0, TICK_NANOS}, {0, TICK_NANOS}};
    if (kind->far) when = (struct itimerspec){{kind->far / 2, 0}, {kind->far, 0}};
    if (syscall(SYS_timer_settime, kind->id, 0, &when, NULL)) exit(1);
}

static void *take_signals(void *unused) {
    (void)unused;
    signal_thread = (int)syscall(SYS_gettid);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGRTMIN + 2);
    for (;;) {
        siginfo_t info;
        const int signal = sigwaitinfo(&set, &info);
        if (signal < 0) continue;
        const long which = signal - SIGRTMIN;
        expect("signal's code", info.si_code, SI_TIMER);
        expect("signal's value", (long)(intptr_t)info.si_value.sival_ptr, 502 + which);
        ticks[which - 1]++;
    }
    return NULL;
}

static void *read_timerfd(void *unused) {
    (void)unused;
    for (uint64_t count;;)
        if (read(tick_fd, &count, sizeof count) == sizeof count) ticks[2] += count;
    return NULL;
}

static void check(void) {
    static const struct {
        int which;
        const char *name;
    } intervals[] = {{ITIMER_REAL, "real"}, {ITIMER_VIRTUAL, "virtual"}, {ITIMER_PROF, "profiling"}};
    for (int i = 0; i < 3; i++) {
        struct itimerval left;
        getitimer(intervals[i].which, &left);
        expect_far(intervals[i].name, left.it_value.tv_sec, FAR_SECONDS + i);
        expect(intervals[i].name, left.it_interval.tv_sec, 100 + i);
    }
    for (int i = 0; i < TIMERS; i++) {
        struct itimerspec left;
        expect("timer_gettime", syscall(SYS_timer_gettime, kinds[i].id, &left), 0);
        if (kinds[i].far) {
            expect_far("timer", left.it_value.tv_sec, kinds[i].far);
            expect("timer's interval", left.it_interval.tv_sec, kinds[i].far / 2);
        } else {
            expect("timer's interval", left.it_interval.tv_nsec, TICK_NANOS);
        }
    }
    struct itimerspec left;
    timerfd_gettime(far_fd, &left);
    expect_far("timerfd", left.it_value.tv_sec, FAR_SECONDS);
    expect("timerfd's interval", left.it_interval.tv_nsec, 5);
}

static void start(void) {
    int spare = -1;
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    for (int i = 0; i < TIMERS; i++) {
        if (i == 1 && syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &spare)) exit(1);
        create(&kinds[i], i);
    }
    syscall(SYS_timer_delete, spare);
    for (int i = 0; i < 3; i++) {
        const struct itimerval far = {{100 + i, 0}, {FAR_SECONDS + i, 0}};
        setitimer(i == 0 ? ITIMER_REAL : i == 1 ? ITIMER_VIRTUAL : ITIMER_PROF, &far, NULL);
    }
    far_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    tick_fd = timerfd_create(CLOCK_MONOTONIC, 0);
    const struct itimerspec far = {{0, 5}, {FAR_SECONDS, 0}}, tick = {{0, TICK_NANOS}, {0, TICK_NANOS}};
    timerfd_settime(far_fd, 0, &far, NULL);
    timerfd_settime(tick_fd, 0, &tick, NULL);
}

int main(void) {
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t t;
    if (pthread_create(&t, NULL, take_signals, NULL)) return 1;
    while (!signal_thread) usleep(1000);
    start();
    if (pthread_create(&t, NULL, read_timerfd, NULL)) return 1;
    printf("ready\n");
    fflush(stdout);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    for (int signal, reports = 1; !sigwait(&set, &signal); reports++) {
        check();
        printf("report %d wrong %d ticks %lu %lu %lu\n", reports, wrong, ticks[0], ticks[1], ticks[2]);
        fflush(stdout);
        if (signal == SIGTERM) return wrong != 0;
    }
    return 1;
}
