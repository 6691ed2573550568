// Holds one memory area of every ordinary kind and hashes them all on request.
// usage: areas; SIGUSR1 prints "hash N AREAS-AND-HASHES", SIGTERM prints it and ends.
// It has no child and never had one: waitpid(-1) must say ECHILD, and no SIGCHLD may come.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define PAGE 4096ul
#define MIB (1ul << 20)
#define MAX_AREAS 40

static struct area {
    const char *name;
    unsigned char *at;
    size_t bytes;
    int prot;
} areas[MAX_AREAS];
static int count;
static volatile sig_atomic_t children_died;

static void must(int ok, const char *what) {
    if (ok) return;
    printf("cannot %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

static unsigned char *map(const char *name, size_t bytes, int flags, int fd, off_t offset) {
    const int prot = PROT_READ | PROT_WRITE;
    unsigned char *at = mmap(NULL, bytes, prot, flags, fd, offset);
    must(at != MAP_FAILED, name);
    areas[count++] = (struct area){name, at, bytes, prot};
    // A page that nothing is mapped at keeps areas from growing together.
    mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at;
}

static unsigned char *anonymous(const char *name, size_t bytes, int more) {
    return map(name, bytes, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
}

static uint64_t state = 88172645463325252ul;

static void scramble(unsigned char *at, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 8) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        memcpy(at + i, &state, 8);
    }
}

static void protect(int prot) {
    struct area *last = &areas[count - 1];
    must(mprotect(last->at, last->bytes, prot) == 0, "mprotect");
    last->prot = prot;
}

static void advise(int advice) {
    struct area *last = &areas[count - 1];
    must(madvise(last->at, last->bytes, advice) == 0, last->name);
}

static void make_private(void) {
    unsigned char *at = anonymous("holes", 4 * MIB, 0);
    volatile unsigned char sum = 0;
    for (size_t page = 0; page < 4 * MIB; page += PAGE) {
        switch (page / PAGE % 5) {
        case 0: scramble(at + page, PAGE); break;
        case 1: sum += at[page]; break;      // read only: the kernel's zero page
        case 2: memset(at + page, 0, PAGE);  // zero, but of its own
                break;
        default: break; // never touched
        }
    }
    scramble(anonymous("plain", 2 * MIB, 0), 2 * MIB);
    scramble(anonymous("none", 64 * PAGE, 0), 64 * PAGE);
    protect(PROT_NONE);
    scramble(anonymous("read-only", 16 * PAGE, 0), 16 * PAGE);
    protect(PROT_READ);
    scramble(anonymous("executable", 4 * PAGE, 0), 4 * PAGE);
    protect(PROT_READ | PROT_EXEC);
    scramble(anonymous("stack-like", 8 * PAGE, MAP_GROWSDOWN), 8 * PAGE);
    scramble(anonymous("dont-fork", 32 * PAGE, 0), 32 * PAGE);
    advise(MADV_DONTFORK);
    scramble(anonymous("wipe-on-fork", 32 * PAGE, 0), 32 * PAGE);
    advise(MADV_WIPEONFORK);
    scramble(anonymous("both", 8 * PAGE, 0), 8 * PAGE);
    advise(MADV_DONTFORK);
    advise(MADV_WIPEONFORK);
    scramble(anonymous("no-reserve", 8 * PAGE, MAP_NORESERVE), 8 * PAGE);
    scramble(anonymous("huge", 6 * MIB, 0), 3 * MIB);
    advise(MADV_HUGEPAGE);
    scramble(areas[count - 1].at + 3 * MIB, 2 * MIB);
    scramble(anonymous("not-dumped", 4 * PAGE, 0), 4 * PAGE);
    advise(MADV_DONTDUMP);
    scramble(anonymous("sequential", 4 * PAGE, 0), 4 * PAGE);
    advise(MADV_SEQUENTIAL);
    scramble(anonymous("random", 4 * PAGE, 0), 4 * PAGE);
    advise(MADV_RANDOM);
    scramble(anonymous("no-huge", 4 * PAGE, 0), 4 * PAGE);
    advise(MADV_NOHUGEPAGE);
    scramble(anonymous("named", 4 * PAGE, 0), 4 * PAGE);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, areas[count - 1].at, 4 * PAGE, "victim name");
    at = anonymous("locked", 16 * PAGE, 0);
    scramble(at, 8 * PAGE);
    must(mlock(at, 16 * PAGE) == 0, "mlock");
    scramble(anonymous("guarded", 16 * PAGE, 0), 16 * PAGE);
    at = areas[count - 1].at;
    if (madvise(at + 8 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) == 0) {
        areas[count - 1].bytes = 8 * PAGE;
        areas[count++] = (struct area){"behind the guard", at + 10 * PAGE, 6 * PAGE,
                                       PROT_READ | PROT_WRITE};
    }
}

static void make_shared(void) {
    scramble(map("shared", MIB, MAP_SHARED | MAP_ANONYMOUS, -1, 0), MIB / 2);
    const int memfd = memfd_create("victim memfd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    must(memfd >= 0 && ftruncate(memfd, 256 * PAGE) == 0, "memfd");
    scramble(map("memfd", 128 * PAGE, MAP_SHARED, memfd, 64 * PAGE), 100 * PAGE);
    scramble(map("memfd private", 32 * PAGE, MAP_PRIVATE, memfd, 64 * PAGE), 4 * PAGE);
    must(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0, "seal");
}

static void make_files(void) {
    const int fd = open("areas.data", O_RDWR | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0, "open areas.data");
    unsigned char content[64 * PAGE];
    scramble(content, sizeof(content));
    must(write(fd, content, sizeof(content)) == sizeof(content), "write areas.data");
    map("file private", 64 * PAGE, MAP_PRIVATE, fd, 0);
    scramble(areas[count - 1].at + 8 * PAGE, 8 * PAGE);
    map("file private, read only", 16 * PAGE, MAP_PRIVATE, fd, 4 * PAGE);
    scramble(areas[count - 1].at, PAGE);
    protect(PROT_READ);
    map("file shared", 32 * PAGE, MAP_SHARED, fd, 16 * PAGE);
    scramble(areas[count - 1].at, 4 * PAGE);
    close(fd);
    const int readable = open("areas.data", O_RDONLY);
    must(readable >= 0, "open areas.data to read");
    unsigned char *at = mmap(NULL, 8 * PAGE, PROT_READ, MAP_SHARED, readable, 0);
    must(at != MAP_FAILED, "map read-only shared");
    areas[count++] = (struct area){"file shared, read only", at, 8 * PAGE, PROT_READ};
    close(readable);
}

static uint64_t hash(const struct area *area) {
    uint64_t sum = 14695981039346656037ul;
    if (!(area->prot & PROT_READ)) mprotect(area->at, area->bytes, PROT_READ);
    for (size_t i = 0; i < area->bytes; i += 8) {
        uint64_t word;
        memcpy(&word, area->at + i, 8);
        sum = (sum ^ word) * 1099511628211ul;
    }
    if (!(area->prot & PROT_READ)) mprotect(area->at, area->bytes, area->prot);
    return sum;
}

// What wait(2) says of children; one with another exit signal than SIGCHLD shows only with __WALL.
static const char *children(int how) {
    errno = 0;
    return waitpid(-1, NULL, WNOHANG | how) == -1 && errno == ECHILD ? "none" : "some";
}

static void report(void) {
    static int reports;
    printf("report %d wall %s children %s sigchld %d", ++reports, children(__WALL), children(0),
           children_died);
    for (int i = 0; i < count; i++) printf(" %s:%lx", areas[i].name, hash(&areas[i]));
    printf("\n");
    fflush(stdout);
}

static void child_died(int signal) {
    (void)signal;
    children_died++;
}

int main(void) {
    signal(SIGCHLD, child_died);
    make_private();
    make_shared();
    make_files();
    anonymous("droppable", 4 * PAGE, 0);
    void *droppable = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
    if (droppable != MAP_FAILED) memset(droppable, 7, 4 * PAGE);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready pid %d\n", getpid());
    fflush(stdout);
    report();
    for (int signal; !sigwait(&set, &signal);) {
        report();
        if (signal == SIGTERM) return 0;
    }
    return 1;
}
