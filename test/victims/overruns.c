// POSIX timers that have expired more often than somebody heard: overruns that were told, timer_getoverrun(2), and signals
// that wait. SIGUSR1 looks at all of them, SIGTERM prints the verdict.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define INTERVAL_SECONDS 40
#define MAX_GONE_SECONDS 18
#define TOLD 1

static int wrong, thread_id;
static volatile int thread_ready;

static struct kind {
    const char *name;
    clockid_t clock;
    int signal, notify;
    // overruns of the signal that was taken; -1: it waits
    int told;
    int id;
    struct timespec next;
} kinds[] = {
    {"told", CLOCK_MONOTONIC, 1, SIGEV_SIGNAL, TOLD, -1, {0, 0}},
    {"told, real time", CLOCK_REALTIME, 2, SIGEV_SIGNAL, TOLD + 1, -1, {0, 0}},
    {"told to a thread", CLOCK_MONOTONIC, 3, SIGEV_THREAD_ID, TOLD + 2, -1, {0, 0}},
    {"waits", CLOCK_MONOTONIC, 4, SIGEV_SIGNAL, -1, -1, {0, 0}},
    {"waits for a thread", CLOCK_MONOTONIC, 5, SIGEV_THREAD_ID, -1, -1, {0, 0}},
    {"no overruns", CLOCK_MONOTONIC, 6, SIGEV_SIGNAL, 0, -1, {0, 0}},
    // of one thread: a negative number
    {"processor time", 0, 7, SIGEV_SIGNAL, 0, -1, {0, 0}},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static void expect(const char *what, const char *of, long got, long want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s, %s: %ld, not %ld\n", of, what, got, want);
    fflush(stdout);
}

static int take(const struct kind *kind, siginfo_t *info) {
    const struct timespec soon = {0, 100000000};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + kind->signal);
    return sigtimedwait(&set, info, &soon) == SIGRTMIN + kind->signal;
}

static struct timespec left_of(const struct kind *kind) {
    struct itimerspec left = {0};
    expect("timer_gettime", kind->name, syscall(SYS_timer_gettime, kind->id, &left), 0);
    expect("interval", kind->name, left.it_interval.tv_sec, INTERVAL_SECONDS);
    return left.it_value;
}

// Began so long ago that it has expired so often, and goes on in half an interval.
static void start(struct kind *kind) {
    struct sigevent event = {.sigev_notify = kind->notify, .sigev_signo = SIGRTMIN + kind->signal};
    if (kind->notify & SIGEV_THREAD_ID) event.sigev_notify_thread_id = thread_id;
    if (kind->clock == 0) pthread_getcpuclockid(pthread_self(), &kind->clock);
    if (kind->signal == 2) kind->clock = CLOCK_REALTIME;
    if (syscall(SYS_timer_create, kind->clock, &event, &kind->id)) exit(1);
    struct itimerspec when = {.it_interval = {INTERVAL_SECONDS, 0}};
    clock_gettime(kind->clock, &when.it_value);
    const int gone = kind->signal >= 6 ? 0 : kind->told < 0 ? 1 : kind->told + 1;
    when.it_value.tv_sec += INTERVAL_SECONDS / 2 - gone * INTERVAL_SECONDS;
    if (when.it_value.tv_sec <= 0) exit(2);
    if (syscall(SYS_timer_settime, kind->id, TIMER_ABSTIME, &when, NULL)) exit(1);
}

static void hear(const struct kind *kind) {
    siginfo_t info;
    if (kind->told <= 0) return;
    expect("taken", kind->name, take(kind, &info), 1);
    expect("overrun", kind->name, info.si_overrun, kind->told);
}

static void look(const struct kind *kind) {
    siginfo_t info;
    const long before = left_of(kind).tv_sec;
    if (before > INTERVAL_SECONDS / 2 || before < INTERVAL_SECONDS / 2 - MAX_GONE_SECONDS)
        expect("time that is left", kind->name, before, INTERVAL_SECONDS / 2);
    if (kind->told >= 0) {
        expect("timer_getoverrun", kind->name, syscall(SYS_timer_getoverrun, kind->id), kind->told);
        expect("to be taken", kind->name, take(kind, &info), 0);
        return;
    }
    expect("to be taken", kind->name, take(kind, &info), 1);
    expect("code", kind->name, info.si_code, SI_TIMER);
    expect("timer", kind->name, info.si_timerid, kind->id);
    // Those before a dump are lost, which is told.
    expect("overrun", kind->name, info.si_overrun, 0);
    expect("to be taken again", kind->name, take(kind, &info), 0);
}

static int of_thread(const struct kind *kind) { return (kind->notify & SIGEV_THREAD_ID) != 0; }

static volatile int asked, answered;
static void *be_told(void *unused) {
    (void)unused;
    thread_id = (int)syscall(SYS_gettid);
    for (thread_ready = 1;; usleep(1000)) {
        if (asked == answered) continue;
        for (int i = 0; i < KINDS; i++)
            if (of_thread(&kinds[i])) (asked == 1 ? hear : look)(&kinds[i]);
        answered = asked;
    }
    return NULL;
}

static void all(void (*act)(const struct kind *), int step) {
    for (int i = 0; i < KINDS; i++)
        if (!of_thread(&kinds[i])) act(&kinds[i]);
    asked = step;
    while (answered != step) usleep(1000);
}

int main(void) {
    sigset_t set, signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    set = signals;
    for (int i = 0; i < KINDS; i++) sigaddset(&set, SIGRTMIN + kinds[i].signal);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_t t;
    if (pthread_create(&t, NULL, be_told, NULL)) return 1;
    while (!thread_ready) usleep(1000);
    for (int i = 0; i < KINDS; i++) start(&kinds[i]);
    all(hear, 1);
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&signals, &signal);) {
        if (signal == SIGTERM) break;
        all(look, 2);
        printf("looked\n");
        fflush(stdout);
    }
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
