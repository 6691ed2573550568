// Memory that changes a little with every SIGUSR1, in all the ways that memory can: each page says which version it is, and a
// table says which it should be. A page of another moment is found by the difference. SIGTERM ends it with the verdict.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 4096
#define SPARE 64
#define SPARSE (16ul << 30)

typedef struct {
    uint64_t number, version;
    char rest[PAGE - 16];
} page;

static page *memory, *moving, *file, *fresh, *given, *shrunk;
static int shrinking;
static uint64_t versions[PAGES], moving_version, file_version, fresh_version, emptied;
static int is_child, wrong, rounds;
static uint64_t seed = 88172645463325252ull;

static uint64_t random_number(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void *map(size_t bytes, int fd) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    if (at == MAP_FAILED) exit(1);
    return at;
}

static void set(page *p, uint64_t number, uint64_t version) {
    p->number = number;
    p->version = version;
    memset(p->rest, (int)(version & 0xff), sizeof p->rest);
}

static void expect(const char *what, const page *p, uint64_t number, uint64_t version) {
    const char last = version ? (char)(version & 0xff) : 0;
    if (p->number == number && p->version == version && p->rest[sizeof p->rest - 1] == last) return;
    wrong++;
    printf("WRONG %s page %lu: version %lu of %lu\n", what, number, p->version, version);
}

// The kernel writes in the place of the program.
static void set_by_kernel(page *p, uint64_t number, uint64_t version) {
    page content;
    int ends[2];
    set(&content, number, version);
    if (pipe(ends)) exit(1);
    if (write(ends[1], &content, PAGE) != PAGE || read(ends[0], p, PAGE) != PAGE) exit(1);
    close(ends[0]);
    close(ends[1]);
}

static void change(void) {
    rounds++;
    for (int i = 0; i < 40; i++) {
        const uint64_t n = random_number() % PAGES;
        set(&memory[n], n, ++versions[n]);
    }
    const uint64_t k = random_number() % PAGES;
    set_by_kernel(&memory[k], k, ++versions[k]);
    // An area that is elsewhere each time, with what it held.
    moving = mremap(moving, SPARE * PAGE, SPARE * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)map(2 * SPARE * PAGE, -1) + PAGE);
    if (moving == MAP_FAILED) exit(1);
    moving_version++;
    for (int i = 0; i < SPARE; i += 2) set(&moving[i], (uint64_t)i, moving_version);
    set(&file[1], 1, ++file_version);
    // A new area over an old one.
    if (mmap(fresh, SPARE * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != fresh) exit(1);
    fresh_version++;
    for (int i = 0; i < SPARE; i += 3) set(&fresh[i], (uint64_t)i, fresh_version);
    // Pages of a file that was changed in memory, given back: they are the file's again.
    set(&given[1], 1, (uint64_t)rounds);
    if (rounds % 2 == 0) madvise(&given[1], PAGE, MADV_DONTNEED);
    // A page of an object that loses it and gets another in its place, never written to through this mapping.
    if (!is_child) {
        page content;
        set(&content, 1, (uint64_t)rounds);
        if (ftruncate(shrinking, PAGE) || ftruncate(shrinking, 2 * PAGE)) exit(1);
        if (rounds % 2 == 0 && pwrite(shrinking, &content, PAGE, PAGE) != PAGE) exit(1);
        if (rounds % 2 == 0) seed += shrunk[1].version;
    }
    // Pages given back: they are zero.
    for (uint64_t n = 0; n < 8; n++) {
        const uint64_t at = (emptied + n) % PAGES;
        madvise(&memory[at], PAGE, MADV_DONTNEED);
        versions[at] = 0;
        // Read, they are the page of zeros that all programs share, which is no page to be saved.
        if (n % 2) seed += memory[at].version;
    }
    emptied += 8;
    printf("%s round %d\n", is_child ? "child" : "parent", rounds);
    fflush(stdout);
}

static void verdict(void) {
    for (uint64_t n = 0; n < PAGES; n++) expect("memory", &memory[n], versions[n] ? n : 0, versions[n]);
    for (uint64_t n = 0; n < SPARE; n++) {
        if (n % 2 == 0) expect("moving", &moving[n], n, moving_version);
        expect("fresh", &fresh[n], n % 3 == 0 ? n : 0, n % 3 == 0 ? fresh_version : 0);
    }
    expect("file", &file[1], 1, file_version);
    if (!is_child) expect("shrunk", &shrunk[1], rounds > 0 && rounds % 2 == 0, rounds % 2 ? 0 : (uint64_t)rounds);
    char original[PAGE];
    const int fd = open("/proc/self/exe", O_RDONLY);
    if (pread(fd, original, PAGE, PAGE) != PAGE) exit(1);
    close(fd);
    if (rounds % 2) expect("given", &given[1], 1, (uint64_t)rounds);
    else if (memcmp(original, &given[1], PAGE)) wrong++, printf("WRONG page of a file\n");
    printf("%s verdict wrong %d after %d rounds\n", is_child ? "child" : "parent", wrong, rounds);
    fflush(stdout);
}

int main(void) {
    sigset_t set_of;
    sigemptyset(&set_of);
    sigaddset(&set_of, SIGUSR1);
    sigaddset(&set_of, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_of, NULL);
    memory = map(PAGES * PAGE, -1);
    char *const sparse = mmap(NULL, SPARSE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sparse == MAP_FAILED) return 1;
    sparse[SPARSE / 2] = 1;
    for (uint64_t n = 0; n < PAGES; n++) set(&memory[n], n, versions[n] = 1);
    moving = map(SPARE * PAGE, -1);
    fresh = map(SPARE * PAGE, -1);
    for (int i = 0; i < SPARE; i += 2) set(&moving[i], (uint64_t)i, 0);
    for (int i = 0; i < SPARE; i += 3) set(&fresh[i], (uint64_t)i, 0);
    const int fd = open("/proc/self/exe", O_RDONLY);
    file = map(2 * PAGE, fd);
    given = map(2 * PAGE, fd);
    shrinking = memfd_create("shrinking", 0);
    if (ftruncate(shrinking, 2 * PAGE)) return 1;
    shrunk = map(2 * PAGE, shrinking);
    seed += shrunk[1].version;
    close(fd);
    set(&file[1], 1, file_version);
    const pid_t child = fork();
    is_child = child == 0;
    if (!is_child) {
        printf("ready\n");
        fflush(stdout);
    }
    for (;;) {
        int got;
        sigwait(&set_of, &got);
        if (!is_child) kill(child, got);
        if (got == SIGUSR1) {
            change();
            continue;
        }
        verdict();
        if (!is_child) waitpid(child, NULL, 0);
        return 0;
    }
}
