/* Inside of the room: the inspecting process, from within. */
#pragma once
#include "ww/base.h"

#define INSPECT_CHILD_NAME "ww-inspect"

/* Gives up all that a process may do but to read from and write to descriptor `fd`, to have memory
 * and to end: descriptors, user ids, capabilities, new rights by exec, system calls. What it does
 * wrong from then on ends it. For its life. WW_ESYSTEM with errno kept. */
int inspect_child_confine(int fd);
