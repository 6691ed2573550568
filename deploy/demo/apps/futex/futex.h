// What the parts of the program share: what they tell, what the kernel may answer, the threads.
#ifndef FUTEX_H
#define FUTEX_H
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#define PORT 7007
#define ROUND_MILLIS 12000 // a restore that takes less falls within a round that began before the checkpoint
#define PATIENCE_MILLIS 20000
#define ANSWER_BYTES 16384
#define ADDRESS_BYTES 65

// ---- report.c

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int judged(const char *call, int error); // every answer of a blocking call passes here: EINTR is an error
void note_gap(int64_t micros);
void describe(char text[ANSWER_BYTES]);
void make_token(void);
void print_line(int64_t second);
void pod_address(char address[ADDRESS_BYTES]); // the host name stays that of the saved pod, its address does not

// ---- waits.c: threads that block, each in one kind of call

typedef struct {
    const char *name;
    int64_t rounds;
    int64_t moved; // rounds that began in one pod and ended in another: restored in between
} waiter;

#define WAITERS 3
extern waiter waiters[WAITERS];
extern const char *forever; // how the wait without time-out stands
void start_waits(void);
void wake_forever(void);
int64_t now(clockid_t clock); // nanoseconds
void sleep_millis(int64_t millis);
int futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout); // 0 or an errno
void start(void *(*routine)(void *), void *argument);

// ---- robust.c: two mutexes whose owners die when told to

enum { HELD, OWNER_DEAD, WRONG };
#define HEIRS 2
typedef struct {
    const char *owner;
    void *mutex;
    int state;
} heir;
extern heir heirs[HEIRS];
extern pid_t owner_process;
void start_owners(void); // forks: call it before any thread starts
void let_owners_die(void);

// ---- server.c

void *serve(void *unused);
int ask(const char *question);

#endif
