// A program that would notice a checkpoint: threads block in futex waits of every kind, sleep, and wait for
// robust mutexes, and each knows what the kernel may answer. `futex` runs it; `futex status` and
// `futex owners-die` ask the running one over loopback, which answers with one line of JSON.
#include "futex.h"

int main(int count, char **arguments) {
    if (count > 1) {
        return ask(arguments[1]);
    }
    make_token();
    start_owners();
    start_waits();
    start(serve, NULL);
    for (int64_t second = 0;; second++) {
        print_line(second);
        sleep_millis(1000);
    }
}
