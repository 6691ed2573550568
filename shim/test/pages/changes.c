// Where pages lie after any changes of memory, against a table of pages that are moved one by one.
#include "../../pages/changes.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES 48
#define PAGE 4096ul
#define MOST_CHANGES 24
#define ROUNDS 20000
#define OTHER_SPACE 7
#define NOWHERE (-1)

static struct change changes[MOST_CHANGES];
static int now[PAGES]; // saved page that lies there
static unsigned seed = 1;

static unsigned below(unsigned limit) {
    return (unsigned)rand_r(&seed) % limit;
}

static uint64_t address_of_page(unsigned page) {
    return (page + 1) * PAGE;
}

static void remove_range(unsigned first, unsigned count) {
    for (unsigned i = first; i < first + count; i++) {
        now[i] = NOWHERE;
    }
}

static void move_range(unsigned from, unsigned to, unsigned count) {
    int moved[PAGES];
    for (unsigned i = 0; i < count; i++) {
        moved[i] = now[from + i];
    }
    remove_range(from, count);
    for (unsigned i = 0; i < count; i++) {
        now[to + i] = moved[i];
    }
}

static void change(struct change *one, uint64_t space) {
    const unsigned count = 1 + below(PAGES / 4);
    const unsigned from = below(PAGES / 2 - count + 1);
    const unsigned to = PAGES / 2 + below(PAGES / 2 - count + 1);
    const unsigned kind = below(4);
    one->space = space;
    one->message = (struct uffd_msg){0};
    if (kind < 2) {
        one->message.event = kind ? UFFD_EVENT_REMOVE : UFFD_EVENT_UNMAP;
        const unsigned first = below(2) ? from : to;
        one->message.arg.remove.start = address_of_page(first);
        one->message.arg.remove.end = address_of_page(first + count);
        if (space != OTHER_SPACE) {
            remove_range(first, count);
        }
        return;
    }
    const unsigned source = kind == 2 ? from : to;
    const unsigned target = kind == 2 ? to : from;
    one->message.event = UFFD_EVENT_REMAP;
    one->message.arg.remap.from = address_of_page(source);
    one->message.arg.remap.to = address_of_page(target);
    one->message.arg.remap.len = count * PAGE;
    if (space != OTHER_SPACE) {
        move_range(source, target, count);
    }
}

static int where_is(int saved) {
    for (int i = 0; i < PAGES; i++) {
        if (now[i] == saved) {
            return i;
        }
    }
    return NOWHERE;
}

// Every page that an extent speaks of must be as it says.
static int wrong_extents(unsigned count, unsigned page, unsigned wanted) {
    int wrong = 0;
    const uint64_t address = address_of_page(page);
    const struct extent then = place_then(changes, count, 0, address, wanted * PAGE);
    const struct extent later = place_now(changes, count, 0, address, wanted * PAGE);
    wrong += then.length == 0 || then.length % PAGE != 0 || then.length > wanted * PAGE;
    wrong += later.length == 0 || later.length % PAGE != 0 || later.length > wanted * PAGE;
    for (unsigned i = 0; i < then.length / PAGE; i++) {
        const int saved = (int)(then.address / PAGE - 1 + i);
        wrong += now[page + i] != (then.there ? saved : NOWHERE);
    }
    for (unsigned i = 0; i < later.length / PAGE; i++) {
        const int place = (int)(later.address / PAGE - 1 + i);
        wrong += where_is((int)(page + i)) != (later.there ? place : NOWHERE);
    }
    return wrong;
}

int main(void) {
    int wrong = 0;
    for (unsigned round = 0; round < ROUNDS && wrong == 0; round++) {
        const unsigned count = below(MOST_CHANGES + 1);
        for (int i = 0; i < PAGES; i++) {
            now[i] = i;
        }
        for (unsigned i = 0; i < count; i++) {
            change(&changes[i], below(5) == 0 ? OTHER_SPACE : 0);
        }
        for (unsigned page = 0; page < PAGES; page++) {
            wrong += wrong_extents(count, page, 1 + below(PAGES - page));
        }
    }
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
