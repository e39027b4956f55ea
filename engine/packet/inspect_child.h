/* Inside of the room: the inspecting process, from within. */
#pragma once
#include "ww/base.h"

#define INSPECT_CHILD_NAME       "ww-inspect"
#define INSPECT_CHILD_HAS_RIGHTS 2 /* how it ends if it can't give them up: it has read nothing */

/* Whether this program, executed again, becomes the inspecting process. Another would do whatever
 * it does, and so without an end. */
bool inspect_child_is_prepared(void);

/* Gives up all that a process may do but to read from and write to descriptor `fd`, to have memory
 * and to end: descriptors, user ids, capabilities, new rights by exec, system calls. What it does
 * wrong from then on ends it. For its life. WW_ESYSTEM with errno kept: then it may have given up
 * some, and must end. */
int inspect_child_confine(int fd);
/* A packet begins: SIGPROF ends the process if it takes more than WW_INSPECT_CPU_MS of its time, as
 * what waits behind it must not. */
void inspect_child_begin(void);
