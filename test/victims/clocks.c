// A program that looks at its clocks: none may ever go backwards, and a sleep until a time of CLOCK_MONOTONIC or
// CLOCK_BOOTTIME, a timer and a timerfd end when they should. usage: clocks MILLIS; prints a line "ok|WRONG what".
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t millis;

static int64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec at(int64_t when) { return (struct timespec){when / 1000, when % 1000 * 1000000}; }

// At most a minute late: a clock that jumped ahead or back would be off by hours.
static void judge(const char *what, int64_t due, int64_t seen) {
    printf("%s %s %ld ms late\n", seen >= due && seen < due + 60000 ? "ok" : "WRONG", what, (long)(seen - due));
    fflush(stdout);
}

static void *sleeper(void *argument) {
    const clockid_t clock = *(clockid_t *)argument;
    const int64_t due = now(clock) + millis;
    const struct timespec end = at(due);
    while (clock_nanosleep(clock, TIMER_ABSTIME, &end, NULL)) {}
    judge(clock == CLOCK_MONOTONIC ? "monotonic sleep" : "boottime sleep", due, now(clock));
    return NULL;
}

static void *timer(void *unused) {
    const int64_t due = now(CLOCK_MONOTONIC) + millis;
    const struct itimerspec spec = {.it_value = at(due)};
    const int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t ticks;
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
    if (read(fd, &ticks, sizeof ticks) != sizeof ticks) perror("read");
    judge("timerfd", due, now(CLOCK_MONOTONIC));
    return unused;
}

int main(int argc, char **argv) {
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    millis = argc > 1 ? atoi(argv[1]) : 3000;
    pthread_t threads[3];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, sleeper, (void *)&clocks[i]);
    pthread_create(&threads[2], NULL, timer, NULL);
    printf("ready %ld\n", (long)now(CLOCK_MONOTONIC));
    fflush(stdout);
    int wrong = 0;
    int64_t last[2] = {now(clocks[0]), now(clocks[1])};
    const struct timespec tick = {0, 1000000};
    for (int64_t end = last[0] + millis + 500; last[0] < end && !wrong;) {
        for (int i = 0; i < 2; i++) {
            const int64_t present = now(clocks[i]);
            if (present < last[i] || present > last[i] + 60000) wrong = 1;
            last[i] = present;
        }
        nanosleep(&tick, NULL);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    printf("verdict clocks %s\n", wrong ? "WRONG" : "ok");
    fflush(stdout);
    for (;;) pause();
}
