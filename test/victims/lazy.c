// Memory whose every word is known, used in all ways at once while most of its pages are still missing after a lazy restore.
// usage: lazy MEBIBYTES ORDEAL; the ordeal begins when a file "go" is in its directory, and ends with a verdict.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define WORDS (PAGE / 8)
#define READERS 8
#define CHILDREN 4
#define PART 64ul

static uint64_t *memory;
static size_t pages;

static uint64_t value(size_t page, size_t word) {
    uint64_t x = (page * WORDS + word + 1) * 0x9e3779b97f4a7c15ul;
    return (x ^ (x >> 29)) | 1;
}

// One word near the start of a page and one near its end: all of them would take longer than the pages take to come.
static long wrong_page(const uint64_t *at, size_t page) {
    const size_t word = page % 500;
    return (at[word] != value(page, word)) + (at[WORDS - 1] != value(page, WORDS - 1));
}

static long wrong_all(const uint64_t *at, size_t first, size_t count) {
    long wrong = 0;
    for (size_t p = 0; p < count; p++)
        for (size_t w = 0; w < WORDS; w++) wrong += at[p * WORDS + w] != value(first + p, w);
    return wrong;
}

static long not_zero(const uint64_t *at, size_t count) {
    long wrong = 0;
    for (size_t w = 0; w < count * WORDS; w++) wrong += at[w] != 0;
    return wrong;
}

static uint64_t *at_page(size_t page) { return memory + page * WORDS; }

// Every page once, in an order of its own: the step has no divisor in common with the number of pages.
static void *read_all(void *which) {
    const size_t i = (size_t)which;
    long wrong = 0;
    size_t step = 7919 + 2 * i * 1013;
    while (pages % step == 0) step += 2;
    size_t page = i * (pages / READERS);
    for (size_t n = 0; n < pages; n++, page = (page + step) % pages) wrong += wrong_page(at_page(page), page);
    return (void *)wrong;
}

static long by_threads(void) {
    pthread_t t[READERS];
    long wrong = 0;
    for (size_t i = 0; i < READERS; i++)
        if (pthread_create(&t[i], NULL, read_all, (void *)i)) return 1;
    for (size_t i = 0; i < READERS; i++) {
        void *answer;
        pthread_join(t[i], &answer);
        wrong += (long)answer;
    }
    return wrong + wrong_all(memory, 0, pages);
}

static long awaited(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    return status != 0;
}

// Children see what was there at the fork, whoever has written since; one of them forks and one executes.
static long by_forks(void) {
    pid_t child[CHILDREN];
    long wrong = 0;
    at_page(3)[5] = 42;
    at_page(pages - 3)[5] = 43;
    for (int i = 0; i < CHILDREN; i++) {
        child[i] = fork();
        if (child[i] != 0) continue;
        if (i == 1) execl("/bin/true", "true", NULL);
        at_page(100)[7] = (uint64_t)i;
        const pid_t grandchild = i == 2 ? fork() : 0;
        if (grandchild != 0) wrong += awaited(grandchild);
        wrong += at_page(3)[5] != 42 || at_page(pages - 3)[5] != 43 || at_page(100)[7] != (uint64_t)i;
        wrong += at_page(200)[9] != value(200, 9);
        wrong += wrong_all(at_page(300), 300, pages - 400);
        _exit(wrong != 0);
    }
    at_page(200)[9] = 44;
    wrong += wrong_all(at_page(300), 300, pages - 400);
    for (int i = 0; i < CHILDREN; i++) wrong += awaited(child[i]);
    return wrong + (at_page(200)[9] != 44) + (at_page(100)[7] != value(100, 7));
}

static uint64_t *moved(size_t page, size_t count, size_t new_count, int flags, void *to) {
    void *at = mremap(at_page(page), count * PAGE, new_count * PAGE, MREMAP_MAYMOVE | flags, to);
    if (at == MAP_FAILED) exit(3);
    return at;
}

// Parts of PART pages at places all over the memory; each is treated in its own way. Then a child looks, too.
static long by_moves(void) {
    const size_t step = pages / 16;
    uint64_t *away = mmap(NULL, 4 * PART * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *fixed = moved(step, PART, PART, MREMAP_FIXED, away);
    uint64_t *grown = moved(2 * step, PART, 3 * PART, 0, NULL);
    // Back to where it was, over what is there now.
    uint64_t *there = moved(3 * step, PART, PART, MREMAP_FIXED, away + 2 * PART * WORDS);
    if (mremap(there, PART * PAGE, PART * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at_page(3 * step)) == MAP_FAILED) return 1;
    if (mremap(at_page(4 * step), PART * PAGE, PART / 2 * PAGE, 0) == MAP_FAILED) return 1;
    if (madvise(at_page(5 * step), PART * PAGE, MADV_DONTNEED)) return 1;
    if (munmap(at_page(6 * step), PART * PAGE)) return 1;
    uint64_t *again = mmap(at_page(6 * step), PART * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (mprotect(at_page(7 * step), PART * PAGE, PROT_READ)) return 1;
    uint64_t *kept = mremap(at_page(8 * step), PART * PAGE, PART * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    // Two parts change places, then half of one is dropped where it is now.
    uint64_t *first = moved(9 * step, PART, PART, MREMAP_FIXED, away + 3 * PART * WORDS);
    if (moved(10 * step, PART, PART, MREMAP_FIXED, at_page(9 * step)) == MAP_FAILED) return 1;
    if (mremap(first, PART * PAGE, PART * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at_page(10 * step)) == MAP_FAILED) return 1;
    if (madvise(at_page(10 * step), PART / 2 * PAGE, MADV_DONTNEED)) return 1;
    if (madvise(at_page(11 * step), PART * PAGE, MADV_DONTNEED)) return 1;
    at_page(11 * step)[3] = 77;
    const pid_t child = fork();
    long wrong = wrong_all(fixed, step, PART) + wrong_all(grown, 2 * step, PART);
    wrong += not_zero(grown + PART * WORDS, 2 * PART) + wrong_all(at_page(3 * step), 3 * step, PART);
    wrong += wrong_all(at_page(4 * step), 4 * step, PART / 2) + not_zero(at_page(5 * step), PART);
    wrong += not_zero(again, PART) + wrong_all(at_page(7 * step), 7 * step, PART);
    wrong += wrong_all(kept, 8 * step, PART) + not_zero(at_page(8 * step), PART);
    wrong += wrong_all(at_page(9 * step), 10 * step, PART);
    wrong += not_zero(at_page(10 * step), PART / 2);
    wrong += wrong_all(at_page(10 * step) + PART / 2 * WORDS, 9 * step + PART / 2, PART / 2);
    wrong += at_page(11 * step)[3] != 77;
    at_page(11 * step)[3] = 0;
    wrong += not_zero(at_page(11 * step), PART);
    for (size_t i = 0; i < 16; i++) wrong += wrong_all(at_page(i * step + PART), i * step + PART, step - PART);
    if (child == 0) _exit(wrong != 0);
    return wrong + awaited(child);
}

// The kernel reads and writes missing memory for the program.
static long by_calls(void) {
    const size_t chunk = 8;
    long wrong = 0;
    int ends[2];
    uint64_t copy[WORDS * 8];
    if (pipe(ends)) return 1;
    const int file = open("written", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (size_t page = 16; page + 2 * chunk < pages; page += pages / 64) {
        wrong += write(ends[1], at_page(page), chunk * PAGE) != (ssize_t)(chunk * PAGE);
        wrong += read(ends[0], copy, chunk * PAGE) != (ssize_t)(chunk * PAGE);
        wrong += wrong_all(copy, page, chunk);
        // Into the midst of a page: the rest of it stays.
        uint64_t *const into = at_page(page + chunk) + 11;
        const uint64_t word = 4711;
        wrong += write(ends[1], &word, 8) != 8 || read(ends[0], into, 8) != 8;
        wrong += *into != word;
        *into = value(page + chunk, 11);
        wrong += pwrite(file, at_page(page + chunk), chunk * PAGE, 0) != (ssize_t)(chunk * PAGE);
        wrong += pread(file, copy, chunk * PAGE, 0) != (ssize_t)(chunk * PAGE);
        wrong += wrong_all(copy, page + chunk, chunk);
    }
    return wrong + wrong_all(memory, 0, pages);
}

static void lost(int signal) {
    static const char text[] = "touched a lost page\n";
    (void)signal;
    if (write(1, text, sizeof(text) - 1) < 0) _exit(8);
    _exit(9);
}

static const struct { const char *name; long (*run)(void); } ordeals[] = {
    {"threads", by_threads}, {"forks", by_forks}, {"moves", by_moves}, {"calls", by_calls},
};

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    pages = ((size_t)atoi(argv[1]) << 20) / PAGE;
    // Pages that nobody may touch keep it apart from the memory of the C library, which a restore itself touches.
    memory = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    memory += WORDS;
    if (mprotect(memory, pages * PAGE, PROT_READ | PROT_WRITE)) return 1;
    for (size_t p = 0; p < pages; p++)
        for (size_t w = 0; w < WORDS; w++) at_page(p)[w] = value(p, w);
    signal(SIGBUS, lost);
    printf("ready\n");
    fflush(stdout);
    while (access("go", F_OK)) usleep(1000);
    for (size_t i = 0; i < sizeof(ordeals) / sizeof(ordeals[0]); i++) {
        if (strcmp(ordeals[i].name, argv[2])) continue;
        printf("begun\n");
        fflush(stdout);
        printf("verdict wrong %ld\n", ordeals[i].run());
        fflush(stdout);
        return 0;
    }
    return 2;
}
