// System V IPC: segments attached whole and in part, one that nobody attached, one that goes with its last attachment,
// semaphores, and a queue with messages. SIGTERM verifies.
#include "descriptors.h"
#include <sched.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { PAGE = 4096, PAGES = 8, KEY = 0x1234, LARGE = 3 << 20 };

struct text {
    long type;
    char text[32];
};

static int first, second, doomed, lonely, sets, queue;
static char *whole, *part, *read_only, *last;

static char *attach(int id, int flags) { return (char *)must((long)shmat(id, NULL, flags)); }

static void fill(char *at, size_t bytes, char seed) {
    for (size_t i = 0; i < bytes; i++) at[i] = (char)(seed + (char)(i * 7 / PAGE));
}

static bool holds(const char *at, size_t from, size_t bytes, char seed) {
    for (size_t i = from; i < from + bytes; i++)
        if (at[i] != (char)(seed + (char)(i * 7 / PAGE))) return false;
    return true;
}

static void set_up_segments(void) {
    // The first ids of a namespace are 0, 1, ...: one in front is removed, so that they have to be asked for.
    must(shmctl((int)must(shmget(IPC_PRIVATE, PAGE, 0600)), IPC_RMID, NULL));
    first = (int)must(shmget(KEY, LARGE, IPC_CREAT | 0640));
    second = (int)must(shmget(IPC_PRIVATE, PAGES * PAGE, 0600));
    doomed = (int)must(shmget(IPC_PRIVATE, PAGE + 100, 0600));
    lonely = (int)must(shmget(IPC_PRIVATE, 56, 0600));
    whole = attach(first, 0);
    fill(whole, LARGE, 1);
    read_only = attach(first, SHM_RDONLY);
    part = attach(second, 0);
    fill(part, PAGES * PAGE, 2);
    must(munmap(part + 2 * PAGE, 2 * PAGE));
    must(mprotect(part + 6 * PAGE, PAGE, PROT_READ));
    char *in_between = mmap(part + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    fill(in_between, PAGE, 9);
    last = attach(doomed, 0);
    fill(last, PAGE + 100, 3);
    must(shmctl(doomed, IPC_RMID, NULL));
    char *at = attach(lonely, 0);
    strcpy(at, "nobody is here");
    must(shmdt(at));
}

static void set_up_others(void) {
    sets = (int)must(semget(KEY, 3, IPC_CREAT | 0660));
    unsigned short values[] = {5, 0, 32000};
    must(semctl(sets, 0, SETALL, values));
    queue = (int)must(msgget(KEY, IPC_CREAT | 0600));
    struct text one = {.type = 7, .text = "first"};
    must(msgsnd(queue, &one, 6, 0));
    one.type = 3;
    strcpy(one.text, "second, longer");
    must(msgsnd(queue, &one, 15, 0));
    must(msgsnd(queue, &one, 0, 0));
}

static void verify_segments(void) {
    expect(shmget(KEY, 0, 0) == first);
    expect(holds(whole, 0, LARGE, 1) && holds(read_only, 0, LARGE, 1));
    whole[100] = 'x';
    expect(read_only[100] == 'x');
    expect(holds(part, 0, 2 * PAGE, 2) && holds(part, 4 * PAGE, 4 * PAGE, 2));
    expect(holds(part + 2 * PAGE, 0, PAGE, 9));
    struct shmid_ds state;
    expect(!shmctl(second, IPC_STAT, &state) && state.shm_nattch >= 1 && state.shm_segsz == PAGES * PAGE);
    expect(!shmctl(first, IPC_STAT, &state) && (state.shm_perm.mode & 0777) == 0640);
    expect(holds(last, 0, PAGE + 100, 3));
    expect(!shmctl(doomed, IPC_STAT, &state) && state.shm_perm.mode & SHM_DEST);
    expect(!shmdt(last) && shmctl(doomed, IPC_STAT, &state) < 0);
    char *at = attach(lonely, 0);
    expect(!strcmp(at, "nobody is here"));
}

static void verify_others(void) {
    expect(semget(KEY, 0, 0) == sets);
    unsigned short values[3] = {0};
    expect(!semctl(sets, 0, GETALL, values) && values[0] == 5 && values[1] == 0 && values[2] == 32000);
    expect(msgget(KEY, 0) == queue);
    struct text one;
    expect(msgrcv(queue, &one, 32, 0, IPC_NOWAIT) == 6 && one.type == 7 && !strcmp(one.text, "first"));
    expect(msgrcv(queue, &one, 32, 3, IPC_NOWAIT) == 15 && !strcmp(one.text, "second, longer"));
    expect(msgrcv(queue, &one, 32, 0, IPC_NOWAIT) == 0);
    expect(msgrcv(queue, &one, 32, 0, IPC_NOWAIT) < 0 && errno == ENOMSG);
}

int main(void) {
    must(unshare(CLONE_NEWIPC));
    block_term();
    set_up_segments();
    set_up_others();
    const int child = (int)must(fork());
    if (child == 0) {
        wait_for_term();
        verify_segments();
        _exit(verdict());
    }
    must(shmdt(last));
    wait_for_term();
    verify_others();
    kill(child, SIGTERM);
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0);
    return verdict();
}
