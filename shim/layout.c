// Prints protocol.h as JSON for generate.ts. Runs on the build machine, never in a pod.
#include "pages/plan.h"
#include "protocol.h"

#include <stdio.h>

#define NUMBER(name) printf("  \"%s\": %ld,\n", #name, (long)(name))
#define OBJECT(name, type) printf("  \"%s\": {\"size\": %zu", name, sizeof(struct type))
#define FIELD(type, field) printf(", \"%s\": %zu", #field, offsetof(struct type, field))
#define END printf("},\n")

int main(void) {
    printf("{\n");
    NUMBER(OP_STOP_ON_ERROR);
    NUMBER(OP_FORK_GUARD);
    NUMBER(CALL_PAGE_PUMP);
    NUMBER(CALL_ZERO_SCAN);
    NUMBER(CALL_LOAD);
    NUMBER(PUMP_DROP);
    NUMBER(PUMP_SLICE_BYTES);
    OBJECT("OP", op);
    FIELD(op, nr);
    FIELD(op, a);
    FIELD(op, ret);
    FIELD(op, refs);
    FIELD(op, flags);
    END;
    OBJECT("CONTROL", control);
    FIELD(control, n);
    FIELD(control, done);
    FIELD(control, pid);
    FIELD(control, tid);
    FIELD(control, sig);
    FIELD(control, mask);
    FIELD(control, r15);
    FIELD(control, r14);
    FIELD(control, r13);
    FIELD(control, r12);
    FIELD(control, rbp);
    FIELD(control, rbx);
    FIELD(control, r11);
    FIELD(control, r10);
    FIELD(control, r9);
    FIELD(control, r8);
    FIELD(control, rax);
    FIELD(control, rcx);
    FIELD(control, rdx);
    FIELD(control, rsi);
    FIELD(control, rdi);
    FIELD(control, rip);
    FIELD(control, flags);
    FIELD(control, rsp);
    FIELD(control, ops);
    FIELD(control, will);
    FIELD(control, stack);
    FIELD(control, quiet);
    END;
    OBJECT("RANGE", range);
    FIELD(range, base);
    FIELD(range, length);
    END;
    OBJECT("SPAWN", spawn_request);
    FIELD(spawn_request, clone_args);
    FIELD(spawn_request, fd);
    FIELD(spawn_request, argv);
    FIELD(spawn_request, envp);
    FIELD(spawn_request, in);
    FIELD(spawn_request, out);
    FIELD(spawn_request, err);
    FIELD(spawn_request, sid);
    FIELD(spawn_request, ctty);
    printf("},\n");
    NUMBER(PAGE_SPACES_MAX);
    OBJECT("PAGE_PLAN", page_plan);
    FIELD(page_plan, spaces);
    FIELD(page_plan, runs);
    FIELD(page_plan, processes);
    END;
    OBJECT("PLANNED_SPACE", planned_space);
    FIELD(planned_space, uffd);
    FIELD(planned_space, first_run);
    FIELD(planned_space, end_run);
    END;
    OBJECT("SAVED_RUN", saved_run);
    FIELD(saved_run, start);
    FIELD(saved_run, end);
    FIELD(saved_run, file);
    FIELD(saved_run, offset);
    printf("}\n}\n");
    return 0;
}
