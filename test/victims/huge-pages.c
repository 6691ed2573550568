// Reserved huge pages: private, shared with a child, and a memfd mapped both ways. SIGTERM verifies.
// "no huge pages" where the machine has too few.
#include "descriptors.h"
#include <stdbool.h>
#include <sys/mman.h>

enum { HUGE = 2 << 20, PAGES = 2 };

static char *private_memory, *shared, *object, *copy;

static char *map(size_t bytes, int flags, int fd) {
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
        puts("ready: no huge pages");
        _exit(0);
    }
    return at;
}

static void fill(char *at, char seed) {
    for (size_t i = 0; i < HUGE; i += 1000) at[i] = (char)(seed + (char)(i / 4096));
}

static bool holds(const char *at, char seed) {
    for (size_t i = 0; i < HUGE; i += 1000)
        if (at[i] != (char)(seed + (char)(i / 4096))) return false;
    return true;
}

int main(void) {
    block_term();
    private_memory = map(PAGES * HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    shared = map(HUGE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1);
    const int fd = (int)must(memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB));
    must(ftruncate(fd, HUGE));
    object = map(HUGE, MAP_SHARED, fd);
    copy = map(HUGE, MAP_PRIVATE, fd);
    fill(private_memory + HUGE, 1);
    fill(shared, 2);
    fill(object, 3);
    copy[5] = 'x';
    const int child = (int)must(fork());
    if (child == 0) {
        shared[7] = 'c';
        for (;;) pause();
    }
    wait_for_term();
    expect(holds(private_memory + HUGE, 1) && private_memory[0] == 0);
    expect(shared[7] == 'c');
    shared[7] = 0;
    expect(holds(shared, 2) && holds(object, 3));
    expect(copy[5] == 'x' && copy[4096] == object[4096]);
    object[HUGE / 2] = 'y';
    char read_back = 0;
    expect(pread(fd, &read_back, 1, HUGE / 2) == 1 && read_back == 'y');
    kill(child, SIGKILL);
    wait(NULL);
    return verdict();
}
