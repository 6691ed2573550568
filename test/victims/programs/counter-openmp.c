// Counts in parallel regions whose threads wait for each other.
#include <stdio.h>
#include <time.h>

int main(void) {
    static double data[200000];
    for (int n = 1;; n++) {
        double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(4)
        for (int i = 0; i < 200000; i++) sum += data[i] = i * 0.5;
        printf("count %d %.0f\n", n, sum);
        fflush(stdout);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}
