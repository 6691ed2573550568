// Memory with everything that can be set for it beside protection and content: seals, locks, keys, policies, advice, guards,
// and what the address space as a whole has of that. SIGUSR1 prints it as "report N NAME VALUE" lines and "report N end",
// SIGTERM the verdict. Two reports must be equal, line by line.
//
// usage: marks [future|fault [confined]]: new mappings are locked, at once or when they are touched; as user 1000, without
// capabilities
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER 1000
#define PAGE 4096ul
#define BYTES (4 * PAGE)
#define MAX_AREAS 32
#define SYS_mseal_number 462
#define MPOL_BIND 2
#define MPOL_INTERLEAVE 3
#define MPOL_LOCAL 4
#define MPOL_STATIC_NODES (1 << 15)
#define MPOL_RELATIVE_NODES (1 << 14)
#define MPOL_F_ADDR 2
#define NODE_BITS 1024
#define GUARD_INSTALL 102
#define DROPPABLE 8
#define SET_VMA 0x53564d41
#define SET_MEMORY_MERGE 67
#define GET_MEMORY_MERGE 68
#define SET_THP_DISABLE 41
#define GET_THP_DISABLE 42
#define THP_EXCEPT_ADVISED 2

static struct area {
    const char *name;
    unsigned char *at;
    int readable;
} areas[MAX_AREAS];
static int count, reports, wrong;
static int key = -1;

static void expect(const char *what, long got, long want) {
    if (got == want) return;
    wrong++;
    printf("WRONG %s: %ld, not %ld\n", what, got, want);
    fflush(stdout);
}

static unsigned char *map(const char *name, int flags) {
    unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) exit(1);
    memset(at, count + 1, BYTES);
    areas[count++] = (struct area){name, at, 1};
    // Keeps areas from growing together.
    mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at;
}

static void may(const char *what, long result) {
    if (result < 0) printf("not possible here: %s: %s\n", what, strerror(errno));
}

static void advise(const char *name, int advice) {
    unsigned char *at = map(name, MAP_PRIVATE);
    may(name, madvise(at, BYTES, advice));
}

static void bind_to(const char *name, int flags, int mode, unsigned long nodes) {
    unsigned char *at = map(name, flags);
    may(name, syscall(SYS_mbind, at, BYTES, mode, nodes ? &nodes : NULL, nodes ? 64 : 0, 0));
}

static void seal(const char *name, int flags, int protection) {
    unsigned char *at = map(name, flags);
    mprotect(at, BYTES, protection);
    may(name, syscall(SYS_mseal_number, at, BYTES, 0));
}

static void make_areas(void) {
    map("plain", MAP_PRIVATE);
    seal("sealed", MAP_PRIVATE, PROT_READ | PROT_WRITE);
    seal("sealed read-only", MAP_PRIVATE, PROT_READ);
    seal("sealed shared", MAP_SHARED, PROT_READ | PROT_WRITE);
    may("lock", mlock(map("locked", MAP_PRIVATE), BYTES));
    unsigned char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    may("lock on fault", mlock2(at, BYTES, MLOCK_ONFAULT));
    at[0] = 1;
    areas[count++] = (struct area){"locked on fault", at, 0};
    advise("mergeable", MADV_MERGEABLE);
    advise("huge", MADV_HUGEPAGE);
    advise("not huge", MADV_NOHUGEPAGE);
    advise("wiped on fork", MADV_WIPEONFORK);
    advise("not forked", MADV_DONTFORK);
    advise("not dumped", MADV_DONTDUMP);
    advise("sequential", MADV_SEQUENTIAL);
    advise("random", MADV_RANDOM);
    advise("cold", MADV_COLD);
    may("guard", madvise(map("guarded", MAP_PRIVATE) + PAGE, PAGE, GUARD_INSTALL));
    areas[count - 1].readable = 0;
    at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, DROPPABLE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) areas[count++] = (struct area){"droppable", at, 0};
    may("name", prctl(SET_VMA, 0, map("named", MAP_PRIVATE), BYTES, "a name"));
    bind_to("bound", MAP_PRIVATE, MPOL_BIND, 1);
    bind_to("interleaved", MAP_PRIVATE, MPOL_INTERLEAVE | MPOL_RELATIVE_NODES, 1);
    bind_to("local", MAP_PRIVATE, MPOL_LOCAL, 0);
    bind_to("bound shared", MAP_SHARED, MPOL_BIND | MPOL_STATIC_NODES, 1);
    // The second of two keys, the first is free again: a restore must not give the first one that it gets.
    const int first = pkey_alloc(0, 0);
    key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (first >= 0) pkey_free(first);
    if (key >= 0) may("key", pkey_mprotect(map("with a key", MAP_PRIVATE), BYTES, PROT_READ | PROT_WRITE, key));
    if (key >= 0) areas[count - 1].readable = 0;
}

static void say(const char *name, const char *what, const char *value) {
    printf("report %d %s %s %s\n", reports, name, what, value);
}

static int told_resident(const char *name) { return !strncmp(name, "locked", 6) || !strcmp(name, "fresh"); }

// From smaps: flags, name and key of one area.
static void say_mapping(const struct area *area) {
    char line[1024];
    FILE *file = fopen("/proc/self/smaps", "r");
    int on = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long start, end;
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            on = start <= (unsigned long)area->at && (unsigned long)area->at < end;
            if (on && strchr(line, '[')) say(area->name, "name", strchr(line, '['));
        }
        if (on && !strncmp(line, "VmFlags:", 8)) say(area->name, "flags", line + 8);
        if (on && !strncmp(line, "ProtectionKey:", 14)) say(area->name, "key", line + 14);
        // Of the others it may change: pages of zeros come and go.
        if (on && told_resident(area->name) && !strncmp(line, "Rss:", 4)) say(area->name, "resident", line + 4);
    }
    fclose(file);
}

static void say_policy(const char *name, void *at) {
    int mode = -1;
    unsigned long nodes[NODE_BITS / 64] = {0};
    char text[64];
    const long result = syscall(SYS_get_mempolicy, &mode, nodes, NODE_BITS, at, at ? MPOL_F_ADDR : 0);
    snprintf(text, sizeof text, "%ld mode %x nodes %lx", result, (unsigned)mode, nodes[0]);
    say(name, "policy", text);
}

static void *thread(void *unused) {
    (void)unused;
    unsigned long node = 1;
    may("policy of a thread", syscall(SYS_set_mempolicy, MPOL_BIND | MPOL_STATIC_NODES, &node, 64));
    static volatile int told;
    for (;; usleep(1000)) {
        if (told == reports) continue;
        told = reports;
        say_policy("thread", NULL);
        fflush(stdout);
    }
    return NULL;
}

static void try_key(void) {
    if (key < 0) return;
    char text[64];
    snprintf(text, sizeof text, "%d rights %d", key, pkey_get(key));
    say("key", "own", text);
    // The lowest free one.
    const int next = pkey_alloc(0, 0);
    snprintf(text, sizeof text, "%d", next);
    say("key", "next", text);
    if (next >= 0) pkey_free(next);
    struct area *area = &areas[count - 1];
    pkey_set(key, 0);
    expect("content behind the key", area->at[PAGE], count);
    pkey_set(key, PKEY_DISABLE_ACCESS);
}

static void report(void) {
    char text[64];
    reports++;
    for (int i = 0; i < count; i++) {
        say_mapping(&areas[i]);
        say_policy(areas[i].name, areas[i].at);
        if (areas[i].readable) expect(areas[i].name, areas[i].at[2 * PAGE], i + 1);
        if (!strncmp(areas[i].name, "sealed", 6)) {
            snprintf(text, sizeof text, "%d", munmap(areas[i].at, BYTES) ? errno : 0);
            say(areas[i].name, "unmap", text);
        }
    }
    try_key();
    say_policy("leader", NULL);
    snprintf(text, sizeof text, "merge %d huge pages off %d", prctl(GET_MEMORY_MERGE, 0, 0, 0, 0),
             prctl(GET_THP_DISABLE, 0, 0, 0, 0));
    say("process", "prctl", text);
    void *fresh = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_mapping(&(struct area){"fresh", fresh, 1});
    munmap(fresh, BYTES);
    usleep(100000);
    printf("report %d end\n", reports);
    fflush(stdout);
}

int main(int argc, char **argv) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    make_areas();
    pthread_t t;
    if (pthread_create(&t, NULL, thread, NULL)) return 1;
    may("merge", prctl(SET_MEMORY_MERGE, 1, 0, 0, 0));
    if (prctl(SET_THP_DISABLE, 1, THP_EXCEPT_ADVISED, 0, 0)) may("huge pages", prctl(SET_THP_DISABLE, 1, 0, 0, 0));
    unsigned long node = 1;
    may("policy", syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &node, 64));
    if (argc > 1) may("lock what comes", mlockall(MCL_FUTURE | (strcmp(argv[1], "fault") ? 0 : MCL_ONFAULT)));
    if (argc > 2 && (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER))) return 1;
    if (argc > 2) prctl(PR_SET_DUMPABLE, 1);
    printf("ready\n");
    fflush(stdout);
    for (int signal; !sigwait(&set, &signal);) {
        if (signal == SIGTERM) break;
        report();
    }
    printf("verdict wrong %d\n", wrong);
    fflush(stdout);
    return wrong != 0;
}
