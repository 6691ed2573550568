// What the program found out, and how it tells: a line a second on stdout, JSON on request.
#include "futex.h"
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define GAPS 128

typedef struct {
    int64_t at_millis; // of CLOCK_REALTIME, end of the gap
    int64_t micros;
} gap;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t interrupted;
static char errors[2048]; // JSON strings with commas between them
static gap gaps[GAPS];
static int64_t gap_count;
static char token[33];

void complain(const char *format, ...) {
    va_list arguments;
    char line[200];
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    const size_t used = strlen(errors);
    if (used + strlen(line) + 4 < sizeof(errors)) {
        snprintf(errors + used, sizeof(errors) - used, "%s\"%s\"", used == 0 ? "" : ",", line);
    }
    pthread_mutex_unlock(&lock);
}

int judged(const char *call, int error) {
    if (error == EINTR) {
        __atomic_add_fetch(&interrupted, 1, __ATOMIC_SEQ_CST);
        complain("%s answered EINTR", call);
    }
    return error;
}

// Keeps the longest gap of each second: a busy machine makes many, and none may push out the one looked for.
void note_gap(int64_t micros) {
    const gap present = {now(CLOCK_REALTIME) / 1000000, micros};
    pthread_mutex_lock(&lock);
    gap *last = &gaps[(gap_count + GAPS - 1) % GAPS];
    if (gap_count == 0 || last->at_millis / 1000 != present.at_millis / 1000) {
        gaps[gap_count++ % GAPS] = present;
    } else if (last->micros < micros) {
        *last = present;
    }
    pthread_mutex_unlock(&lock);
}

void make_token(void) {
    unsigned char random[sizeof(token) / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        perror("getrandom");
        exit(1);
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        sprintf(token + 2 * i, "%02x", random[i]);
    }
}

void pod_address(char address[ADDRESS_BYTES]) {
    char line[256];
    FILE *hosts = fopen("/etc/hosts", "r"); // written by the kubelet, the pod's own address last
    address[0] = 0;
    while (hosts != NULL && fgets(line, sizeof(line), hosts) != NULL) {
        sscanf(line, "%63[0-9a-f.:]", address);
    }
    if (hosts != NULL) {
        fclose(hosts);
    }
}

static int count_threads(void) {
    int threads = 0;
    char line[128];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        sscanf(line, "Threads: %d", &threads);
    }
    if (status != NULL) {
        fclose(status);
    }
    return threads;
}

static int describe_gaps(char *text, size_t room) {
    size_t used = 0;
    for (int64_t i = gap_count > GAPS ? gap_count - GAPS : 0; i < gap_count && used < room; i++) {
        const gap *one = &gaps[i % GAPS];
        used += (size_t)snprintf(text + used, room - used, "%s{\"atMillis\":%ld,\"millis\":%ld.%03ld}",
                                 used == 0 ? "" : ",", one->at_millis, one->micros / 1000, one->micros % 1000);
    }
    return (int)used;
}

void describe(char text[ANSWER_BYTES]) {
    static const char *const states[] = {"held", "owner-dead", "wrong"};
    char address[ADDRESS_BYTES];
    pod_address(address);
    const int children = owner_process > 0;
    const int threads = count_threads() + children;
    pthread_mutex_lock(&lock);
    int used = snprintf(text, ANSWER_BYTES,
                        "{\"app\":\"futex\",\"address\":\"%s\",\"token\":\"%s\",\"processes\":%d,\"threads\":%d,"
                        "\"interrupted\":%ld,\"forever\":\"%s\",\"robust\":{\"%s\":\"%s\",\"%s\":\"%s\"},\"rounds\":{",
                        address, token, 1 + children, threads, interrupted, forever, heirs[0].owner,
                        states[heirs[0].state], heirs[1].owner, states[heirs[1].state]);
    for (int i = 0; i < WAITERS; i++) {
        used += snprintf(text + used, (size_t)(ANSWER_BYTES - used), "%s\"%s\":{\"done\":%ld,\"moved\":%ld}",
                         i == 0 ? "" : ",", waiters[i].name, waiters[i].rounds, waiters[i].moved);
    }
    used += snprintf(text + used, (size_t)(ANSWER_BYTES - used), "},\"nowMillis\":%ld,\"errors\":[%s],\"gaps\":[",
                     now(CLOCK_REALTIME) / 1000000, errors);
    used += describe_gaps(text + used, (size_t)(ANSWER_BYTES - used));
    snprintf(text + used, (size_t)(ANSWER_BYTES - used), "]}\n");
    pthread_mutex_unlock(&lock);
}

void print_line(int64_t second) {
    int64_t rounds = 0;
    for (int i = 0; i < WAITERS; i++) {
        rounds += waiters[i].rounds;
    }
    printf("second %ld: %ld rounds, %ld interrupted calls, errors: [%s]\n", second, rounds, interrupted, errors);
    fflush(stdout);
}
