// usage: files-shm: POSIX shared memory and a semaphore, shared with a child under their names. SIGUSR1: verifies that names,
// mappings and both processes still mean the same objects, and says good or what is wrong.
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "/diapause-memory"
#define SEMAPHORE "/diapause-semaphore"
#define BYTES (256 * 1024)
#define MODE 0640

struct shared {
    volatile int asked, answered;
    unsigned char content[BYTES - 64];
};

static volatile sig_atomic_t verify;
static void on_signal(int signal) { verify = signal; }

static struct shared *map(int create) {
    int fd = shm_open(NAME, O_RDWR | create, MODE);
    if (fd < 0 || (create && (ftruncate(fd, BYTES) || fchmod(fd, MODE)))) return NULL;
    struct shared *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

static void answer(struct shared *shared, sem_t *semaphore) {
    for (;;) {
        if (sem_wait(semaphore)) continue;
        shared->answered = shared->asked;
    }
}

static const char *wrong(struct shared *shared) {
    for (size_t i = 0; i < sizeof shared->content; i++) {
        if (shared->content[i] != (unsigned char)(i * 7)) return "content";
    }
    struct stat stat;
    struct shared *again = map(0);
    if (!again) return "the name is gone";
    sem_t *by_name = sem_open(SEMAPHORE, 0);
    if (by_name == SEM_FAILED) return "the semaphore's name is gone";
    again->asked++;
    if (shared->asked != again->asked) return "the name means another object";
    sem_post(by_name);
    for (int i = 0; i < 500 && shared->answered != again->asked; i++) usleep(10000);
    if (shared->answered != again->asked) return "the child does not answer";
    int fd = shm_open(NAME, O_RDONLY, 0);
    if (fstat(fd, &stat) || (stat.st_mode & 07777) != MODE) return "mode";
    close(fd);
    munmap(again, BYTES);
    return NULL;
}

int main(void) {
    struct shared *shared = map(O_CREAT | O_EXCL);
    sem_t *semaphore = sem_open(SEMAPHORE, O_CREAT | O_EXCL, MODE, 0);
    if (!shared || semaphore == SEM_FAILED) return perror("shm"), 2;
    for (size_t i = 0; i < sizeof shared->content; i++) shared->content[i] = (unsigned char)(i * 7);
    if (fork() == 0) answer(shared, semaphore);
    signal(SIGUSR1, on_signal);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (int round = 1;; round++) {
        while (!verify) usleep(10000);
        verify = 0;
        const char *why = wrong(shared);
        printf("%s %d\n", why ? why : "good", round);
    }
}
