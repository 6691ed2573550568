// usage: passing [CHILDREN LIFE_MILLIS CHILD_KIB PARENT_MIB]
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

#define MAX_CHILDREN 64
#define ROUND 25

static pid_t children[MAX_CHILDREN];
static long count = 6, life_millis = 40, child_kib = 8 << 10, parent_mib = 96;

static void fill(long bytes) { memset(malloc((size_t)bytes), 1, (size_t)bytes); }

static void live(void) {
    fill(child_kib << 10);
    nanosleep(&(struct timespec){life_millis / 1000, life_millis % 1000 * 1000000}, NULL);
    _exit(0);
}

static void make(int place) {
    children[place] = fork();
    if (children[place] < 0) exit(2);
    if (children[place] == 0) live();
}

static int place_of(pid_t pid) {
    for (int place = 0; place < count; place++) {
        if (children[place] == pid) return place;
    }
    return -1;
}

int main(int argc, char **argv) {
    long *numbers[] = {&count, &life_millis, &child_kib, &parent_mib};
    for (int i = 1; i < argc && i <= 4; i++) *numbers[i - 1] = atol(argv[i]);
    if (count > MAX_CHILDREN) return 2;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) return 3;
    fill(parent_mib << 20);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int place = 0; place < count; place++) make(place);
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
