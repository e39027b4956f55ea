/* Inside of the room: allocations that a test has refused. */
#pragma once
#include "ww/base.h"

/* Counts one; true if it must fail. */
bool ww_alloc_is_refused(void);
