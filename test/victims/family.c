// A family that shares memory copy-on-write: children that changed a few pages, a grandchild, one that left its session's
// leader behind, one that executed the program anew. SIGUSR1: everybody verifies all of its memory and changes one page.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define MIB (1024 * 1024)
#define AREA_BYTES (64L * MIB)
#define HEAP_BYTES (2L * MIB)
#define GROWN_BYTES (1L * MIB)
#define WIPED_BYTES (16 * PAGE)
#define EXTRA_BYTES (1L * MIB)
#define LOCKED_BYTES (16 * PAGE)
#define PAGES (AREA_BYTES / PAGE)
#define GUARDED 4000 // page of the area
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum member { ROOT, WORKER, CHANGER, GRANDCHILD, LEADER, FOLLOWER, STRANGER, MEMBERS };
static const char *const names[] = {"root",   "worker",   "changer", "grandchild",
                                    "leader", "follower", "stranger"};

static struct shared {
    volatile int ready, round, answers, wrong, pid[MEMBERS];
} *shared;
static volatile sig_atomic_t asked, ending;
static enum member me;

// What the area must hold, page by page: 0 nothing, else the number that its content is made from. 255: not mapped.
static unsigned char version[PAGES];
static uint64_t *area, *heap, *grown, *wiped, *extra;
static int wiped_version;
static long extra_bytes = EXTRA_BYTES;

static void wrong(const char *what, long at) {
    __atomic_fetch_add(&shared->wrong, 1, __ATOMIC_SEQ_CST);
    printf("WRONG %s %s %ld\n", names[me], what, at);
    fflush(stdout);
}

static uint64_t word(unsigned version_of_page, long page, int i) {
    return version_of_page ? (version_of_page * 1000003UL + page) * 0x9e3779b97f4a7c15UL + i : 0;
}

static void write_page(uint64_t *base, long page, unsigned number) {
    for (int i = 0; i < PAGE / 8; i++) base[page * (PAGE / 8) + i] = word(number, page, i);
}

static void verify_page(const char *what, const uint64_t *base, long page, unsigned number) {
    for (int i = 0; i < PAGE / 8; i++) {
        if (base[page * (PAGE / 8) + i] != word(number, page, i)) return wrong(what, page);
    }
}

static void change(long page, unsigned number) {
    version[page] = number;
    write_page(area, page, number);
}

static void verify(void) {
    for (long page = 0; page < PAGES; page++) {
        if (version[page] != 255) verify_page("area", area, page, version[page]);
    }
    for (long page = 0; page < HEAP_BYTES / PAGE; page++) verify_page("heap", heap, page, 1);
    for (long page = 0; grown && page < GROWN_BYTES / PAGE; page++) {
        verify_page("grown heap", grown, page, me);
    }
    for (long page = 0; page < extra_bytes / PAGE; page++) verify_page("extra", extra, page, 9);
    for (long page = 0; page < WIPED_BYTES / PAGE; page++) {
        verify_page("wiped area", wiped, page, wiped_version);
    }
}

// mremap(2) takes one mapping only: fails where one came back as two.
static void enlarge_extra(long bytes) {
    if (mremap(extra, extra_bytes, extra_bytes + bytes, 0) == MAP_FAILED) wrong("mremap", bytes);
    for (long page = extra_bytes / PAGE; page < (extra_bytes + bytes) / PAGE; page++) {
        write_page(extra, page, 9);
    }
    extra_bytes += bytes;
}

static void on_signal(int signal) {
    if (signal == SIGUSR1) asked = 1;
    else ending = 1;
}

static void settle_in(enum member who) {
    me = who;
    shared->pid[who] = getpid();
    __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
}

static void serve(void) {
    for (int round = 0; !ending; usleep(1000)) {
        if (shared->round == round) continue;
        round = shared->round;
        verify();
        if (me == CHANGER) enlarge_extra(PAGE);
        // Nobody else may see it, then or in the next round
        change(PAGES - 1 - me - MEMBERS * round, 100 + me);
        __atomic_fetch_add(&shared->answers, 1, __ATOMIC_SEQ_CST);
    }
    exit(0);
}

static int fork_member(enum member who) {
    int child = fork();
    if (child) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    wiped_version = 0;
    settle_in(who);
    return 0;
}

static void be_worker(void) {
    for (int i = 0; i < 10; i++) change(100 + 3 * i, 20);
    grown = sbrk(GROWN_BYTES);
    for (long page = 0; page < GROWN_BYTES / PAGE; page++) write_page(grown, page, me);
    serve();
}

static void be_changer(void) {
    for (int i = 0; i < 10; i++) change(200 + i, 30);
    // A hole, another protection, pages given back, a guard taken away, a mapping enlarged
    munmap(area + 2L * MIB / 8, MIB);
    memset(version + 2L * MIB / PAGE, 255, MIB / PAGE);
    mprotect(area + 4L * MIB / 8, MIB, PROT_READ);
    madvise(area + 6L * MIB / 8, MIB, MADV_DONTNEED);
    memset(version + 6L * MIB / PAGE, 0, MIB / PAGE);
    if (version[GUARDED] == 255) {
        madvise(area + GUARDED * (PAGE / 8), PAGE, MADV_GUARD_REMOVE);
        change(GUARDED, 31);
    }
    enlarge_extra(MIB);
    if (!fork_member(GRANDCHILD)) {
        for (int i = 0; i < 5; i++) change(205 + i, 40);
        serve();
    }
    serve();
}

static void be_leader(void) {
    change(300, 50);
    // Born into the session that its parent leaves
    if (!fork_member(FOLLOWER)) {
        change(301, 60);
        serve();
    }
    setsid();
    serve();
}

static void fill(void) {
    area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wiped = mmap(NULL, WIPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(area, AREA_BYTES, MADV_NOHUGEPAGE);
    madvise(wiped, WIPED_BYTES, MADV_WIPEONFORK);
    heap = sbrk(HEAP_BYTES);
    for (long page = 0; page < PAGES; page++) change(page, 1);
    for (long page = 0; page < HEAP_BYTES / PAGE; page++) write_page(heap, page, 1);
    if (!madvise(area + GUARDED * (PAGE / 8), PAGE, MADV_GUARD_INSTALL)) version[GUARDED] = 255;
    mlock(heap, LOCKED_BYTES);
    extra = mmap(NULL, 4 * EXTRA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(extra + EXTRA_BYTES / 8, 3 * EXTRA_BYTES);
    for (long page = 0; page < EXTRA_BYTES / PAGE; page++) write_page(extra, page, 9);
    wiped_version = 7;
    for (long page = 0; page < WIPED_BYTES / PAGE; page++) write_page(wiped, page, 7);
}

static void report(int number) {
    shared->answers = 0;
    shared->round = number;
    verify();
    change(PAGES - 1 - MEMBERS * number, 100);
    while (shared->answers < MEMBERS - 1 && !ending) usleep(1000);
    printf("report %d answers %d wrong %d\n", number, shared->answers, shared->wrong);
    fflush(stdout);
}

// The stranger has the program in common with its parent, and its memory is its own.
static void become_stranger(int memory) {
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    close(memory);
    fill();
    settle_in(STRANGER);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve();
}

int main(int argc, char **argv) {
    signal(SIGUSR1, on_signal);
    signal(SIGTERM, on_signal);
    if (argc == 2) become_stranger(atoi(argv[1]));
    int memory = memfd_create("family", 0);
    if (ftruncate(memory, PAGE)) return 1;
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    char number[12];
    snprintf(number, sizeof number, "%d", memory);
    fill();
    settle_in(ROOT);
    if (!fork_member(WORKER)) be_worker();
    if (!fork_member(CHANGER)) be_changer();
    if (!fork_member(LEADER)) be_leader();
    if (!fork()) {
        execl("/proc/self/exe", argv[0], number, NULL);
        _exit(1);
    }
    close(memory);
    while (shared->ready < MEMBERS) usleep(1000);
    printf("area %p %ld heap %p %ld\n", (void *)area, AREA_BYTES, (void *)heap, HEAP_BYTES);
    for (int who = 0; who < MEMBERS; who++) printf("member %s %d\n", names[who], shared->pid[who]);
    printf("ready\n");
    fflush(stdout);
    for (int number_of_report = 1; !ending; usleep(1000)) {
        if (!asked) continue;
        asked = 0;
        report(number_of_report++);
    }
    for (int who = 1; who < MEMBERS; who++) kill(shared->pid[who], SIGTERM);
    while (wait(NULL) > 0) {}
    printf("verdict wrong %d\n", shared->wrong);
    return shared->wrong != 0;
}
