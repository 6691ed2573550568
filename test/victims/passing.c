// A parent whose children come and go, each with memory that is worth a snapshot. Orphans become its children, too, so
// it would see whatever else ends below it: it prints every child that it did not make, and every one that was killed.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN 6
#define LIFE_NANOS (40 * 1000 * 1000)
#define CHILD_BYTES (8 << 20)
#define PARENT_BYTES (96 << 20)
#define ROUND 25

static pid_t children[CHILDREN];

static void live(void) {
    memset(malloc(CHILD_BYTES), 1, CHILD_BYTES);
    nanosleep(&(struct timespec){.tv_nsec = LIFE_NANOS}, NULL);
    _exit(0);
}

static void make(int place) {
    children[place] = fork();
    if (children[place] < 0) exit(2);
    if (children[place] == 0) live();
}

static int place_of(pid_t pid) {
    for (int place = 0; place < CHILDREN; place++) {
        if (children[place] == pid) return place;
    }
    return -1;
}

int main(void) {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) return 3;
    memset(malloc(PARENT_BYTES), 1, PARENT_BYTES);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int place = 0; place < CHILDREN; place++) make(place);
    puts("ready");
    for (int ended = 1;; ended++) {
        int status;
        pid_t pid = wait(&status);
        int place = pid < 0 ? -1 : place_of(pid);
        if (place < 0) printf("stranger %d, status %#x\n", pid, status);
        if (place >= 0 && status != 0) printf("child %d, status %#x\n", pid, status);
        if (place >= 0) make(place);
        if (ended % ROUND == 0) printf("ended %d\n", ended);
    }
}
