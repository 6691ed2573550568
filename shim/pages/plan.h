// What the engine hands to the page server: which pages of which address spaces are still missing,
// and where they lie. layout.c prints the numbers for TypeScript.
#ifndef DIAPAUSE_PLAN_H
#define DIAPAUSE_PLAN_H

#include <stddef.h>
#include <stdint.h>

// More would need a larger table in the server; the engine restores the others as a whole.
#define PAGE_SPACES_MAX 1024

/**
 * The head of the plan, which is the server's stdin. Behind it lie `spaces` planned_space, `runs`
 * saved_run, and `processes` pidfds of 8 bytes each: who is killed when pages cannot be had.
 */
struct page_plan {
    uint64_t spaces;
    uint64_t runs;
    uint64_t processes;
    uint64_t reserved;
};

/** One address space: its userfaultfd, and its runs by their places in the list. */
struct planned_space {
    int64_t uffd;
    uint64_t first_run;
    uint64_t end_run;
};

/** Pages of a file that belong at an address. The runs of a space ascend. */
struct saved_run {
    uint64_t start;
    uint64_t end;
    int64_t file;
    uint64_t offset;
};

_Static_assert(sizeof(struct page_plan) == 32, "page_plan");
_Static_assert(sizeof(struct planned_space) == 24, "planned_space");
_Static_assert(sizeof(struct saved_run) == 32, "saved_run");

#endif
